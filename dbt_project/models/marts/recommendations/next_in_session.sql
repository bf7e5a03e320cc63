{#-
    Session-kNN blended with the lists of the viewed products, as the read API does for a session in progress, for
    people who may have personal lists.
-#}

with

as_of as (

    select * from {{ ref('int_as_of') }}

),

visits as (

    select
        visits.session_id,
        visits.journey_id
    from {{ ref('int_visits') }} as visits
    inner join {{ ref('int_permissions') }} as permissions on visits.journey_id = permissions.journey_id
    where permissions.may_have_personal_lists

),

-- Products already viewed in the session are left out.
candidates as (

    select
        scores.shop,
        scores.prefix_id as session_id,
        scores.recommended_product_id,
        scores.score,
        cast(null as bigint) as support
    from {{ ref('int_session_scores') }} as scores
    left join {{ ref('int_session_products') }} as views
        on scores.prefix_id = views.session_id and scores.recommended_product_id = views.product_id
    where scores.trained_for = 'now' and views.session_id is null

),

{{ best_of_each_list('candidates', ['session_id'], var('list_limit')) }}

select
    listed.shop,
    visits.journey_id,
    listed.session_id,
    listed.position,
    listed.recommended_product_id,
    listed.score,
    as_of.as_of as computed_at,
    '{{ var("model_version") }}' as model_version
from listed
left join as_of on listed.shop = as_of.shop
inner join visits on listed.session_id = visits.session_id
