{#-
    The channel of each rebuilt session: one of Google Analytics 4's default channel groups, by the seed channel_rules
    and the merchant's [shops.channels] in shops.toml. The last case expression defines the precedence.
-#}

with

landings as (

    select
        *,
        nullif(regexp_extract(lower(utm_source), '^(?:https?://)?([^/?#]+)', 1), '') as source,
        {{ plain_medium('utm_medium') }} as medium,
        {{ matches('lower(utm_campaign)', "'(^|[^a-df-z])shop|shopping'") }} as is_shopping_campaign
    from {{ ref('int_session_landings_this_run') }}

),

rules as (

    select * from {{ ref('channel_rules') }}

),

decided as (

    select * from {{ ref('stg_shops__channels') }}

),

sources as (

    select
        referrer_host as source,
        is_app_referrer as is_app
    from landings
    where referrer_host is not null

    union

    select
        source,
        false as is_app
    from landings
    where source is not null

),

-- All names that can match a source: itself, its parent domains (google.co.uk also matches google.*), the app of which
-- it is a variant, and the first word of a utm_source.
names as (

    select
        source,
        is_app,
        source as name
    from sources

    union

    select
        source,
        is_app,
        regexp_extract(source, '^([a-z]{4,}|fb|ig)[^a-z.][^.]*$', 1) as name
    from sources
    where not is_app

    {% for dots in [1, 2, 3, 4] %}
        {% set labels = '(?:[^.]+[.]){' ~ dots ~ '}' %}
        union

        select
            source,
            is_app,
            regexp_extract(source, '(?:^|[.])({{ labels }}[^.]+)$', 1) as name
        from sources
        where not is_app

        union

        select
            source,
            is_app,
            regexp_extract(
                regexp_replace(source, '[.](?:com|(?:com?[.])?[a-z][a-z])$', '.*'), '(?:^|[.])({{ labels }}[*])$', 1
            ) as name
        from sources
        where not is_app

        union

        select
            source,
            is_app,
            regexp_extract(source, '^({{ labels }}[^.]+)[.]', 1) as name
        from sources
        where is_app
    {% endfor %}

),

source_channels as (

    select
        names.source,
        names.is_app,
        {{ earliest('rules.channel', ['-length(names.name)', 'names.name']) }} as channel
    from names
    inner join rules on names.name = rules.value and rules.given = 'source'
    group by names.source, names.is_app

),

decided_sources as (

    select
        decided.shop,
        names.source,
        names.is_app,
        {{ earliest('decided.channel', ['-length(names.name)', 'names.name']) }} as channel
    from names
    inner join decided on names.name = decided.value
    group by decided.shop, names.source, names.is_app

),

decided_media as (

    select
        shop,
        {{ plain_medium('value') }} as medium,
        min(channel) as channel
    from decided
    group by shop, {{ plain_medium('value') }}

),

media as (

    select distinct medium
    from landings
    where medium <> ''

),

medium_channels as (

    select
        media.medium,
        {{ earliest('rules.channel', [
            "case when rules.value not like '%*%' then 0 when rules.channel like 'paid %' then 1 else 2 end",
            '-length(rules.value)',
            'rules.value',
        ]) }} as channel
    from media
    inner join rules
        on rules.given = 'medium' and media.medium like replace(rules.value, '*', '%')
    group by media.medium

),

known as (

    select
        landings.*,
        coalesce(
            decided_sources.channel,
            decided_media.channel,
            case when not landings.has_campaign then decided_referrers.channel end
        ) as decided_channel,
        nullif(medium_channels.channel, 'direct') as medium_channel,
        nullif(source_channels.channel, 'direct') as source_channel,
        referrer_channels.channel as referrer_channel,
        -- utm_source=(direct) is not a campaign.
        landings.has_campaign and not (
            coalesce(landings.source in ('(direct)', 'direct'), false)
            and coalesce(medium_channels.channel = 'direct', landings.medium is null)
        ) as is_campaign,
        -- Bank pages cannot be listed: a session that starts in a checkout returns to it, unless it came through the
        -- recovery link of an email.
        coalesce(
            {{ matches('landings.landing_path', "'/(checkouts?|thank[-_]you)(/|$)'") }}
            and not {{ matches('landings.landing_path', "'/recover'") }},
            false
        ) as is_in_checkout
    from landings
    left join medium_channels on landings.medium = medium_channels.medium
    left join source_channels on landings.source = source_channels.source and not source_channels.is_app
    left join source_channels as referrer_channels
        on
            landings.referrer_host = referrer_channels.source
            and landings.is_app_referrer = referrer_channels.is_app
    left join decided_sources
        on
            landings.shop = decided_sources.shop
            and landings.source = decided_sources.source
            and not decided_sources.is_app
    left join decided_sources as decided_referrers
        on
            landings.shop = decided_referrers.shop
            and landings.referrer_host = decided_referrers.source
            and landings.is_app_referrer = decided_referrers.is_app
    left join decided_media on landings.shop = decided_media.shop and landings.medium = decided_media.medium

)

select
    session_id,
    shop,
    landing_path,
    referrer_host,
    utm_source,
    utm_medium,
    utm_campaign,
    user_agent,
    case
        -- The merchant's own rules.
        when decided_channel is not null then decided_channel
        -- A paid campaign; its kind comes from its source, else its click id or referrer.
        when lower(utm_campaign) like '%cross-network%' then 'cross-network'
        when
            medium_channel = 'paid other' and is_shopping_campaign
            and coalesce(source_channel, 'organic search') = 'organic search'
            then 'paid shopping'
        when medium like '%cp%' and {{ paid('source_channel') }} is not null then {{ paid('source_channel') }}
        when medium_channel = 'paid other'
            then coalesce(
                {{ paid('source_channel') }},
                {{ paid('click_channel') }},
                {{ paid('referrer_channel') }},
                'paid other'
            )
        -- Any other medium that maps to a channel.
        when medium_channel not in ('organic search', 'organic video', 'referral') then medium_channel
        -- The click id of an ad, then the kind of source.
        when click_channel like 'paid %' or click_channel = 'display' then click_channel
        when source_channel is not null then source_channel
        when click_channel is not null then click_channel
        when medium_channel is not null then medium_channel
        -- No usable campaign: the referrer.
        when referrer_channel <> 'direct' then referrer_channel
        when is_campaign then 'other campaign'
        when referrer_channel = 'direct' or is_in_checkout then 'direct'
        when referrer_host is not null then 'referral'
        else 'direct'
    end as channel
from known
