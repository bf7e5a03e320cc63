{#- The interests of persons as they were some days ago: what personal lists are tried with. -#}

with

windows as (

    {{ last_days(var('personal_days'), var('evaluation_days')) }}

),

{{ interests_of_journeys('windows') }}

select * from interests
