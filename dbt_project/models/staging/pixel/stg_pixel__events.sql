{#-
    Every received copy of an event, typed. A view: only int_events_received_this_run reads it. For speed, parts of the
    document are extracted first and parsed further only where present.
-#}

{% set event_fields = {
    'stated_event_id': '$.id',
    'stated_event_name': '$.name',
    'event_timestamp': '$.timestamp',
    'client_id': '$.clientId',
    'event_type': '$.type',
    'event_sequence': '$.seq',
    'page_url': '$.context.document.location.href',
    'page_path': '$.context.document.location.pathname',
    'page_query': '$.context.document.location.search',
    'page_title': '$.context.document.title',
    'referrer_url': '$.context.document.referrer',
    'browser_user_agent': '$.context.navigator.userAgent',
} %}

{% set consent_fields = consent_choices() %}

{#- product_viewed has a variant, a cart line has merchandise: the same columns from two sets of paths. -#}
{% set viewed_fields = {
    'variant_gid': '$.id',
    'product_gid': '$.product.id',
    'sku': '$.sku',
    'product_title': '$.product.title',
    'untranslated_title': '$.product.untranslatedTitle',
    'vendor': '$.product.vendor',
    'product_type': '$.product.type',
    'product_url': '$.product.url',
    'image_url': '$.image.src',
    'price': '$.price.amount',
    'price_currency': '$.price.currencyCode',
    'quantity': '$.quantity',
    'line_currency': '$.cost.totalAmount.currencyCode',
    'is_available': '$.availableForSale',
} %}

{% set line_paths = [
    '$.merchandise.id',
    '$.merchandise.product.id',
    '$.merchandise.sku',
    '$.merchandise.product.title',
    '$.merchandise.product.untranslatedTitle',
    '$.merchandise.product.vendor',
    '$.merchandise.product.type',
    '$.merchandise.product.url',
    '$.merchandise.image.src',
    '$.merchandise.price.amount',
    '$.merchandise.price.currencyCode',
    '$.quantity',
    '$.cost.totalAmount.amount',
    '$.cost.totalAmount.currencyCode',
    '$.merchandise.availableForSale',
] %}

{% set checkout_fields = {
    'checkout_token': '$.token',
    'order_gid': '$.order.id',
    'customer_gid': '$.order.customer.id',
    'is_first_order': '$.order.customer.isFirstOrder',
    'checkout_currency': '$.currencyCode',
    'total_currency': '$.totalPrice.currencyCode',
    'country': '$.localization.country.isoCode',
    'subtotal_amount': '$.subtotalPrice.amount',
    'discount_amount': '$.discountsAmount.amount',
    'shipping_amount': '$.shippingLine.price.amount',
    'tax_amount': '$.totalTax.amount',
    'total_amount': '$.totalPrice.amount',
    'checkout_lines_complete': '$.linesComplete',
    'line_count': '$.lineCount',
} %}

{% set cart_fields = {
    'cart_quantity': '$.totalQuantity',
    'cart_lines_complete': '$.linesComplete',
} %}

{#- collection_viewed and search_submitted both list products. -#}
{% set list_fields = {
    'collection_gid': '$.id',
    'collection_title': '$.title',
    'search_query': '$.query',
} %}

{% set part_paths = {
    'product_variant': '$.data.productVariant',
    'cart_line': '$.data.cartLine',
    'cart': '$.data.cart',
    'checkout': '$.data.checkout',
    'collection': '$.data.collection',
    'search_result': '$.data.searchResult',
    'custom_data': '$.customData',
} %}

with

received as (

    select
        shop,
        cast(received_at as timestamp) as received_at,
        cast(load_began_at as timestamp) as load_began_at,
        request_id,
        index as request_index,
        landing_file,
        pixel_version,
        visitor_hash,
        user_agent as request_user_agent,
        gpc as has_global_privacy_control,
        host_ok as is_own_host,
        md5(cast(event as {{ dbt.type_string() }})) as content_hash,
        {{ json_texts('consent', consent_fields.values() | list) }} as consent_texts,
        {{ json_texts('event', event_fields.values() | list) }} as event_texts,
        {{ json_parts('event', part_paths.values() | list) }} as parts,
        event
    from {{ source('pixel', 'events') }}
    where {{ is_built('shop') }}

),

named as (

    select
        shop,
        received_at,
        load_began_at,
        request_id,
        request_index,
        landing_file,
        pixel_version,
        visitor_hash,
        request_user_agent,
        has_global_privacy_control,
        is_own_host,
        content_hash,
        event,
        {{ json_columns('consent_texts', consent_fields) }},
        {{ json_columns('event_texts', event_fields) }},
        {{ json_columns('parts', part_paths) }}
    from received

),

judged as (

    select
        *,
        {{ utc_timestamp('event_timestamp') }} as stated_event_at,
        -- A received_at from a wrong clock must not move the limit for event times.
        least(received_at, load_began_at) as received_by
    from named

),

-- No other expression is evaluated for a rejected event, so it cannot fail the model.
rejected as (

    select
        *,
        case
            when coalesce(stated_event_id, '') = '' then 'the event has no id'
            when coalesce(stated_event_name, '') = '' then 'the event has no name'
            when event_timestamp is null then 'the event has no timestamp'
            when stated_event_at is null
                then concat_ws('', 'the timestamp is not an ISO 8601 time: ', left(event_timestamp, 100))
            when stated_event_at < timestamp '2000-01-01 00:00:00'
                then concat_ws('', 'the timestamp is before the year 2000: ', left(event_timestamp, 100))
            -- Clocks may be slightly wrong; a day ahead would create sessions in the future.
            when stated_event_at > received_by + interval '1' day
                then concat_ws('', 'the timestamp is in the future: ', left(event_timestamp, 100))
        end as rejection_reason
    from judged

),

-- A custom event of a theme or app may have a standard name: prefix the name with the type.
identified as (

    select
        *,
        coalesce({{ identifier('stated_event_id') }}, concat_ws('', 'content:', content_hash)) as event_id,
        case
            when
                {{ in_texts('stated_event_name', standard_events()) }}
                and lower(event_type) in ('custom', 'dom', 'advanced-dom')
                then concat_ws('', lower(event_type), ':', stated_event_name)
            when
                {{ in_texts('stated_event_name', standard_events()) }}
                and event_type is null
                -- The field may be JSON null.
                and coalesce(cast(custom_data as {{ dbt.type_string() }}), 'null') <> 'null'
                and coalesce(product_variant, cart_line, cart, checkout, collection, search_result) is null
                then concat_ws('', 'custom:', stated_event_name)
            else stated_event_name
        end as event_name,
        case when rejection_reason is null then stated_event_at end as event_at
    from rejected

),

usable as (

    select
        *,
        case when rejection_reason is null then event_name end as usable_name
    from identified

),

opened as (

    select
        *,
        case
            when usable_name = 'product_viewed' then {{ json_texts('product_variant', viewed_fields.values() | list) }}
            when usable_name in ('product_added_to_cart', 'product_removed_from_cart')
                then {{ json_texts('cart_line', line_paths) }}
        end as product_texts,
        case
            when {{ in_texts('usable_name', checkout_steps()) }}
                then {{ json_texts('checkout', checkout_fields.values() | list) }}
        end as checkout_texts,
        case when usable_name = 'cart_viewed' then {{ json_texts('cart', cart_fields.values() | list) }} end
            as cart_texts,
        case
            when usable_name = 'collection_viewed' then {{ json_texts('collection', list_fields.values() | list) }}
            when usable_name = 'search_submitted' then {{ json_texts('search_result', list_fields.values() | list) }}
        end as list_texts,
        case
            when usable_name = 'collection_viewed'
                then {{ listed_product_ids(json_part('collection', '$.productVariants')) }}
            when usable_name = 'search_submitted'
                then {{ listed_product_ids(json_part('search_result', '$.productVariants')) }}
        end as listed_product_ids,
        case
            when usable_name in ('product_added_to_cart', 'product_removed_from_cart') then cart_line
            when usable_name = 'cart_viewed' then {{ json_part('cart', '$.lines') }}
            when usable_name = 'checkout_completed' then {{ json_part('checkout', '$.lineItems') }}
        end as lines,
        case when usable_name = 'checkout_completed' then {{ json_part('checkout', '$.discountApplications') }} end
            as discount_applications,
        case
            when usable_name = 'checkout_completed'
                then {{ json_part('checkout', '$.delivery.selectedDeliveryOptions') }}
        end as delivery_options,
        case when {{ in_texts('usable_name', recommendation_events()) }} then custom_data end
            as recommendation_data
    from usable

),

typed as (

    select
        *,
        {{ json_columns('product_texts', viewed_fields) }},
        {{ json_columns('checkout_texts', checkout_fields) }},
        {{ json_columns('cart_texts', cart_fields) }},
        {{ json_columns('list_texts', list_fields) }}
    from opened

)

select
    {{ surrogate_key(['shop', 'event_id']) }} as event_key,
    shop,
    event_id,
    event_name,
    event_type,
    event_at,
    try_cast(event_sequence as bigint) as event_sequence,
    {{ identifier('client_id') }} as client_id,
    page_url,
    page_path,
    nullif(page_query, '') as page_query,
    page_title,
    nullif(referrer_url, '') as referrer_url,
    coalesce(browser_user_agent, request_user_agent) as user_agent,
    try_cast(is_analytics_allowed as boolean) as is_analytics_allowed,
    try_cast(is_marketing_allowed as boolean) as is_marketing_allowed,
    try_cast(is_preferences_allowed as boolean) as is_preferences_allowed,
    try_cast(is_sale_of_data_allowed as boolean) as is_sale_of_data_allowed,
    has_global_privacy_control,
    is_own_host,
    pixel_version,
    visitor_hash,
    received_at,
    landing_file,
    request_id,
    request_index,
    content_hash,
    {{ shopify_id('product_gid') }} as product_id,
    {{ shopify_id('variant_gid') }} as variant_id,
    nullif(sku, '') as sku,
    -- Prefer the merchant's own title over the one in the shopper's language.
    coalesce(nullif(untranslated_title, ''), product_title) as product_title,
    nullif(vendor, '') as vendor,
    nullif(product_type, '') as product_type,
    product_url,
    image_url,
    {{ money('price') }} as price,
    {{ whole_number('coalesce(quantity, cart_quantity)') }} as quantity,
    coalesce(line_currency, price_currency, checkout_currency, total_currency) as currency,
    {{ identifier('checkout_token') }} as checkout_token,
    nullif(order_gid, '') as order_gid,
    {{ shopify_id('customer_gid') }} as customer_id,
    try_cast(is_first_order as boolean) as is_first_order,
    country,
    {{ money('subtotal_amount') }} as subtotal_amount,
    {{ money('discount_amount') }} as discount_amount,
    {{ money('shipping_amount') }} as shipping_amount,
    {{ money('tax_amount') }} as tax_amount,
    {{ money('total_amount') }} as total_amount,
    lines,
    try_cast(coalesce(checkout_lines_complete, cart_lines_complete) as boolean) as lines_complete,
    {{ whole_number('line_count') }} as line_count,
    discount_applications,
    delivery_options,
    recommendation_data,
    -- Not among Shopify's fields; headless storefronts send it, and themes may add it.
    try_cast(is_available as boolean) as is_available,
    {{ shopify_id('collection_gid') }} as collection_id,
    collection_title,
    search_query,
    listed_product_ids,
    rejection_reason,
    case when rejection_reason is not null then cast(event as {{ dbt.type_string() }}) end as content
from typed
