select
        journey_id, product_id,
        count(*) as rows_alike
    from "warehouse"."intermediate"."int_personal_scores"
    group by journey_id, product_id
    having count(*) > 1
