{#-
    The landing page of each rebuilt session: path, referrer, and the campaign and click id in its URL.
    int_session_arrivals_this_run derives the channel from them.
-#}

with

events as (

    select * from {{ events_rebuilt_this_run() }}
    where session_id is not null

),

shop_hosts as (

    select * from {{ ref('stg_shops__hosts') }}

),

rules as (

    select * from {{ ref('channel_rules') }}

),

-- The landing page comes from the first event with a page, which need not be the very first event.
landings as (

    select
        session_id,
        {{ earliest('event_key', ['case when page_url is null then 1 else 0 end'] + event_order()) }} as event_key
    from events
    group by session_id

),

arrived as (

    select
        events.session_id,
        events.shop,
        events.page_path,
        {{ url_host('events.page_url') }} as page_host,
        {{ url_host('events.referrer_url') }} as referrer_host,
        coalesce({{ matches('events.referrer_url', "'^(?i:android|ios)-app:'") }}, false) as is_app_referrer,
        events.user_agent,
        -- Some senders include the query only in the full URL, and some URLs use "&amp;", "#" or "?" for "&".
        translate(concat_ws('&', coalesce(events.page_query, ''), coalesce(events.page_url, '')), '?#;', '&&&') as query
    from landings
    inner join events on landings.event_key = events.event_key

),

own_referrers as (

    select distinct
        arrived.shop,
        arrived.referrer_host
    from arrived
    inner join shop_hosts on arrived.shop = shop_hosts.shop
    where {{ is_same_site('arrived.referrer_host', 'shop_hosts.host') }}

),

queries as (

    select
        session_id,
        {{ split_text('query', '&') }} as pairs
    from arrived
    where query like '%=%'

),

pairs as (

    {{ numbered_elements('queries', 'pairs', ['session_id']) }}

),

parameters as (

    select
        session_id,
        element_number,
        lower(regexp_extract(element, '^([^=]+)=', 1)) as parameter,
        trim({{ url_decoded("replace(regexp_extract(element, '^[^=]+=(.+)$', 1), '+', ' ')") }}) as value
    from pairs
    where element like '%_=_%'

),

campaigns as (

    select
        session_id,
        {{ earliest('value', ['element_number']) }} filter (where parameter = 'utm_source') as utm_source,
        {{ earliest('value', ['element_number']) }} filter (where parameter = 'utm_medium') as utm_medium,
        {{ earliest('value', ['element_number']) }} filter (where parameter = 'utm_campaign') as utm_campaign,
        max(case when parameter like 'utm_%' then 1 else 0 end) = 1 as has_campaign
    from parameters
    where value <> ''
    group by session_id

),

-- An ad's click id takes precedence over a network's.
clicks as (

    select
        parameters.session_id,
        {{ earliest(
            'rules.channel',
            ["case when rules.channel like 'paid %' then 0 else 1 end", 'parameters.element_number', 'rules.value']
        ) }} as click_channel
    from parameters
    inner join rules on parameters.parameter = rules.value and rules.given = 'click id'
    where parameters.value <> ''
    group by parameters.session_id

)

select
    arrived.session_id,
    arrived.shop,
    arrived.page_path as landing_path,
    -- The shop's own pages do not count as referrers.
    case
        when
            own_referrers.referrer_host is null
            and not coalesce({{ is_same_site('arrived.referrer_host', 'arrived.page_host') }}, false)
            then arrived.referrer_host
    end as referrer_host,
    arrived.is_app_referrer,
    campaigns.utm_source,
    campaigns.utm_medium,
    campaigns.utm_campaign,
    coalesce(campaigns.has_campaign, false) as has_campaign,
    clicks.click_channel,
    arrived.user_agent
from arrived
left join own_referrers on arrived.shop = own_referrers.shop and arrived.referrer_host = own_referrers.referrer_host
left join campaigns on arrived.session_id = campaigns.session_id
left join clicks on arrived.session_id = clicks.session_id
