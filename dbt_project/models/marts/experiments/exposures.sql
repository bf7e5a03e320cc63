{#-
    The attributes of each unit, and whether it counts. Except for the exposure itself, they are taken from the unit's
    first exposure in any phase, because the experiment may already affect later visits.
-#}

with

events as (

    select * from {{ ref('int_experiment_exposures') }}

),

orders as (

    select
        journey_id,
        ordered_at
    from {{ ref('orders') }}
    where journey_id is not null and not is_test and not is_bot

),

units as (

    select
        shop,
        experiment,
        phase,
        unit,
        count(*) as exposures,
        count(distinct client_id) as clients,
        count(*) filter (where reason is null) as valid_exposures,
        count(*) filter (where reason = 'wrong_variation') as wrong_variations,
        count(*) filter (where reason = 'bot') as bot_exposures,
        {{ earliest('event_key', [
            'case when reason is null then 0 else 1 end', 'exposed_at', 'event_id'
        ]) }} as first_event_key
    from events
    group by shop, experiment, phase, unit

),

-- The first valid exposure in the phase, or the first of all if none is valid.
firsts as (

    select
        units.shop,
        units.experiment,
        units.phase,
        units.unit,
        events.variation,
        units.exposures,
        units.clients,
        events.journey_id,
        events.exposed_at as first_exposed_at,
        events.local_date,
        events.ended_at,
        events.browser,
        case
            when units.bot_exposures > 0 then 'bot'
            when units.valid_exposures = 0 then events.reason
            when units.wrong_variations > 0 then 'several_variations'
        end as reason
    from units
    inner join events on units.first_event_key = events.event_key

),

persons as (

    select
        events.shop,
        events.experiment,
        events.phase,
        events.journey_id,
        count(distinct events.unit) as units,
        count(distinct events.variation) as variations
    from events
    inner join firsts
        on
            events.shop = firsts.shop
            and events.experiment = firsts.experiment
            and events.phase = firsts.phase
            and events.unit = firsts.unit
    where events.reason is null and firsts.reason is null
    group by events.shop, events.experiment, events.phase, events.journey_id
    having count(distinct events.unit) > 1

),

-- People on several devices are left out even in one variation: otherwise larger variations would keep more of them.
on_several_devices as (

    select
        events.shop,
        events.experiment,
        events.phase,
        events.unit,
        max(persons.variations) as variations
    from events
    inner join persons
        on
            events.shop = persons.shop
            and events.experiment = persons.experiment
            and events.phase = persons.phase
            and events.journey_id = persons.journey_id
    where events.reason is null
    group by events.shop, events.experiment, events.phase, events.unit

),

entry_events as (

    select
        shop,
        experiment,
        unit,
        {{ earliest('event_key', ['exposed_at', 'event_id']) }} as event_key
    from events
    where reason is null
    group by shop, experiment, unit

),

entries as (

    select
        entry_events.shop,
        entry_events.experiment,
        entry_events.unit,
        events.exposed_at as entered_at,
        events.journey_id,
        events.device,
        events.channel,
        events.landing_path,
        events.is_new_visitor
    from entry_events
    inner join events on entry_events.event_key = events.event_key

),

-- Customers by their orders before they entered: the experiment may have affected today's segments.
customers as (

    select
        entries.shop,
        entries.experiment,
        entries.unit,
        count(*) as orders,
        {{ elapsed('second', 'max(orders.ordered_at)', 'max(entries.entered_at)') }} as recency
    from entries
    inner join orders on entries.journey_id = orders.journey_id and entries.entered_at > orders.ordered_at
    group by entries.shop, entries.experiment, entries.unit

),

scored as (

    select
        *,
        5 - cast(floor(4.999 * percent_rank() over (partition by shop, experiment order by recency)) as integer)
            as recency_score,
        1 + cast(floor(4.999 * percent_rank() over (partition by shop, experiment order by orders)) as integer)
            as frequency_score
    from customers

),

judged as (

    select
        firsts.*,
        entries.entered_at,
        entries.device,
        entries.channel,
        entries.landing_path,
        entries.is_new_visitor,
        coalesce(
            firsts.reason,
            case
                when on_several_devices.variations > 1 then 'several_devices'
                when on_several_devices.variations = 1 then 'same_person'
            end
        ) as left_out_reason
    from firsts
    left join on_several_devices
        on
            firsts.shop = on_several_devices.shop
            and firsts.experiment = on_several_devices.experiment
            and firsts.phase = on_several_devices.phase
            and firsts.unit = on_several_devices.unit
    left join entries
        on
            firsts.shop = entries.shop
            and firsts.experiment = entries.experiment
            and firsts.unit = entries.unit

)

select
    judged.shop,
    judged.experiment,
    judged.phase,
    judged.unit,
    judged.variation,
    judged.exposures,
    judged.clients,
    judged.journey_id,
    judged.first_exposed_at,
    judged.local_date,
    judged.ended_at as counted_until,
    judged.entered_at,
    judged.browser,
    coalesce(judged.device, 'unknown') as device,
    coalesce(judged.channel, 'unknown') as channel,
    coalesce(judged.landing_path, 'unknown') as landing_page,
    {{ landing_kind('judged.landing_path') }} as landing_kind,
    case when judged.is_new_visitor then 'new' else 'known' end as visitor,
    case
        when scored.unit is null then 'visitor'
        else {{ rfm_segment('scored.recency_score', 'scored.frequency_score', 'scored.orders') }}
    end as segment,
    judged.left_out_reason is null as is_counted,
    judged.left_out_reason
from judged
left join scored
    on judged.shop = scored.shop and judged.experiment = scored.experiment and judged.unit = scored.unit
