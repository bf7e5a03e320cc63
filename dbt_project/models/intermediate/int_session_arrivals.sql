{#- How each session arrived: its first page, referrer and campaign, and the channel that they make. -#}

with

events as (

    select * from {{ ref('stg_pixel__events') }}

),

sessionized as (

    select * from {{ ref('int_events_sessionized') }}

),

shop_hosts as (

    select * from {{ ref('stg_shops__hosts') }}

),

-- An event that knows its page says how the session arrived; it need not be the very first.
ranked as (

    select
        sessionized.session_id,
        events.shop,
        events.page_path,
        events.page_query,
        {{ url_host('events.page_url') }} as page_host,
        {{ url_host('events.referrer_url') }} as referrer_host,
        events.user_agent,
        row_number() over (
            partition by sessionized.session_id
            order by case when events.page_url is null then 1 else 0 end, events.event_at, events.event_id
        ) as event_number
    from sessionized
    inner join events on sessionized.event_key = events.event_key

),

first_events as (

    select
        ranked.session_id,
        ranked.shop,
        ranked.page_path as landing_path,
        -- A page of the shop itself is no referrer.
        case
            when shop_hosts.host is null and coalesce(ranked.referrer_host <> ranked.page_host, true)
                then ranked.referrer_host
        end as referrer_host,
        {{ url_parameter('ranked.page_query', 'utm_source') }} as utm_source,
        {{ url_parameter('ranked.page_query', 'utm_medium') }} as utm_medium,
        {{ url_parameter('ranked.page_query', 'utm_campaign') }} as utm_campaign,
        ranked.user_agent
    from ranked
    left join shop_hosts on ranked.shop = shop_hosts.shop and ranked.referrer_host = shop_hosts.host
    where ranked.event_number = 1

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
