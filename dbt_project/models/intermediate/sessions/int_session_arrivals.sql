{#- How each session that was cut anew arrived: first page, referrer and campaign, and the channel that they make. -#}

with

events as (

    select * from {{ events_of_touched_sessions() }}
    where session_id is not null

),

shop_hosts as (

    select * from {{ ref('stg_shops__hosts') }}

),

-- An event that knows its page says how the session arrived; it need not be the very first.
landings as (

    select
        session_id,
        {{ earliest(
            'event_key',
            ['case when page_url is null then 1 else 0 end', 'event_at', 'event_id']
        ) }} as event_key
    from events
    group by session_id

),

arrived as (

    select
        events.session_id,
        events.shop,
        events.page_path,
        events.page_query,
        {{ url_host('events.page_url') }} as page_host,
        {{ url_host('events.referrer_url') }} as referrer_host,
        events.user_agent
    from landings
    inner join events on landings.event_key = events.event_key

),

first_events as (

    select
        arrived.session_id,
        arrived.shop,
        arrived.page_path as landing_path,
        -- A page of the shop itself is no referrer.
        case
            when shop_hosts.host is null and coalesce(arrived.referrer_host <> arrived.page_host, true)
                then arrived.referrer_host
        end as referrer_host,
        {{ url_parameter('arrived.page_query', 'utm_source') }} as utm_source,
        {{ url_parameter('arrived.page_query', 'utm_medium') }} as utm_medium,
        {{ url_parameter('arrived.page_query', 'utm_campaign') }} as utm_campaign,
        arrived.user_agent
    from arrived
    left join shop_hosts on arrived.shop = shop_hosts.shop and arrived.referrer_host = shop_hosts.host

),

referrer_kinds as (

    select
        referrers.referrer_host,
        min(known.kind) as kind
    from (select distinct referrer_host from first_events) as referrers
    inner join {{ ref('referrer_hosts') }} as known
        on {{ matches('referrers.referrer_host', 'known.host_pattern') }}
    group by referrers.referrer_host

)

select
    first_events.session_id,
    first_events.shop,
    first_events.landing_path,
    first_events.referrer_host,
    first_events.utm_source,
    first_events.utm_medium,
    first_events.utm_campaign,
    first_events.user_agent,
    case
        when lower(first_events.utm_medium) in ('cpc', 'ppc', 'paid', 'paidsearch', 'paid_search') then 'paid search'
        when lower(first_events.utm_medium) in ('paidsocial', 'paid_social', 'paid-social') then 'paid social'
        when lower(first_events.utm_medium) in ('email', 'e-mail', 'newsletter') then 'email'
        when lower(first_events.utm_medium) = 'affiliate' then 'affiliate'
        when lower(first_events.utm_medium) like '%social%' then 'organic social'
        when first_events.utm_source is not null then 'other campaign'
        when referrer_kinds.kind = 'search' then 'organic search'
        when referrer_kinds.kind = 'social' then 'organic social'
        when first_events.referrer_host is not null then 'referral'
        else 'direct'
    end as channel
from first_events
left join referrer_kinds on first_events.referrer_host = referrer_kinds.referrer_host
