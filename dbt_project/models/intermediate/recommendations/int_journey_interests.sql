{#- What each person viewed, put into a cart or bought, and how much that says: the ground of personal lists. -#}

with

windows as (

    {{ last_days(var('personal_days')) }}

),

{{ interests_of_journeys('windows') }}

select * from interests
