{#-
    Products that are sold but never recommended, recognized by name: gift cards, and fees and protections that are
    added to orders. If a name is missing here, hide the product with `exclude` in shops.toml.
-#}

{% macro plain_words(text) -%}
    {#- Lowercases the text. Hyphens, brackets, digits and currency signs become spaces; punctuation becomes ";". -#}
    {%- set spaces, marks = '-_.()*#$€£¥%–—0123456789', '[]",:|/+' -%}
    concat_ws(
        '',
        ';',
        translate(
            lower({{ composed_letters(text) }}),
            '{{ spaces ~ marks }}',
            '{{ ' ' * spaces | length ~ ';' * marks | length }}'
        ),
        ';'
    )
{%- endmacro %}

{% macro names_gift_card(text) -%}
    {#- The type, title or handle names a gift card, not a holder for gift cards. -#}
    {%- set names, links = gift_card_names(), '(for|für|pour|per|para|voor|de)' -%}
    {%- set holders = 'holder|box|envelope|sleeve|wallet|tin[ ;]|case|bag|pouch|display|stand|rack|wrap|pack|hanger|paper'
        ~ '|tray|hülle|umschlag|etui|karton|verpackung|schachtel|pochette|boîte|étui|houder|busta|custodia|caja|sobre' -%}
    coalesce(
        {{ matches(plain_words(text), "'(" ~ names ~ ")'") }}
        and not {{ matches(plain_words(text), "'(" ~ names ~ ") *(" ~ holders ~ ")'") }}
        and not {{ matches(plain_words(text), "'(" ~ holders ~ ")[a-zé]* " ~ links ~ " [^;]*(" ~ names ~ ")'") }},
        false
    )
{%- endmacro %}

{% macro tagged_gift_card(tags) -%}
    coalesce({{ matches(plain_words(tags), "'; *(digital |e *)?gift *(card|voucher|certificate)s? *;'") }}, false)
{%- endmacro %}

{% macro names_fee_or_protection(text) -%}
    {#- The type, title or handle names a fee, an insurance, a warranty, a tip or a donation. -#}
    coalesce(
        {{ matches(plain_words(text), "'(" ~ rider_names() ~ ")'") }}
        or {{ matches(plain_words(text), "'^; *(" ~ rider_kinds() ~ ") *;$'") }},
        false
    )
{%- endmacro %}

{% macro tagged_fee_or_protection(tags) -%}
    {#- Tags also describe extras of a product ("warranty"), so this uses fewer words and matches whole tags. -#}
    coalesce(
        {{ matches(plain_words(tags), "'; *(" ~ rider_names() ~ ") *;'") }}
        or {{ matches(plain_words(tags), "'; *(insurance|fees?|protection plans?) *;'") }},
        false
    )
{%- endmacro %}

{% macro gift_card_names() -%}
    {%- set spaced = [
        'gift *(card|voucher|certificate|cheque|check|coupon|code)s?', 'vouchers?', 'store credits?',
        'gutscheine?', 'gutscheinkarten?', 'geschenkkarten?', 'geschenkgutscheine?', 'geschenkcards?',
        '(carte|ch[eè]que|bon)s? *cadeaux?', 'bons? d.achat', 'carte *kdo',
        '(tarjeta|vale|cheque|bono|cup[oó]n|certificado)s? *(de )?regalos?',
        '(buon[oi]|cart[ae]|tesser[ae]) *regalo', 'cadeau *(bon|kaart|cheque|card)(nen|en|s)?',
        '(cart[aã]o|cart[oõ]es|vale|cheque)s? *(de )?(presente|prenda|oferta)s?',
        '(gave|present)kort', 'lahjakort(ti|it)', 'kinkekaar(t|did)', 'gjafa(kort|bréf)',
        '(karta|bon|voucher) (podarunkow[ay]|upominkow[ay]|prezentow[ay])', 'd[aá]rkov(á|ý|é) (kart[ay]|poukaz|poukazy)',
        'dar[cč]ekov(á|é) (kart[ay]|pouk[aá][zž]k[ay])', 'ajándék *(kártya|utalvány)', 'card cadou', 'hediye (kart|[cç]ek)[ıi]',
        '(poklon|darilni|darilna) *(bon|kartica)', 'dovanų (kuponas|čekis|kortelė)', 'dāvanu karte',
        'подарочн(ая|ый|ые) (карт[аы]|сертификаты?)', 'подарунков(а|ий|і) (картка|сертифікати?)',
        'δωρο *(κάρτα|επιταγή)', 'thẻ quà tặng', 'phiếu quà tặng', 'kartu hadiah',
    ] -%}
    {%- set unspaced = [
        'ギフト *(カード|券)', '商品券', '礼品[卡券]', '禮品[卡券]', '礼物卡', '禮物卡', '기프트 *카드', '상품권', 'บัตรของขวัญ',
        'بطاق(ة|ات) (ال)?هد(ية|ايا)', '(כרטיס|שובר) מתנה',
    ] -%}
    ({{ spaced | join('|') }})[ ;]|{{ unspaced | join('|') }}
{%- endmacro %}

{% macro rider_names() -%}
    {%- set carried = '(shipping|shipment|package|parcel|order|delivery|transit|purchase|checkout|returns?)' -%}
    {%- set charged = '(handling|processing|service|shipping|small order|eco|environmental|green|recycling|card|payment|'
        ~ 'transaction|convenience|rush|express|delivery|restocking|customs|import|platform|packaging|cod|cash on delivery|'
        ~ 'admin|booking)' -%}
    {%- set spaced = [
        carried ~ ' *(and [a-z]+ |plus |damage |loss )?(protection|protect|insurance|assurance|guarantee|coverage)',
        '(damage|accident|accidental damage) (protection|insurance)( plan)?', '(product|device|gadget|phone) insurance',
        'protection plans?', 'care plans?', '(extended|additional) warrant(y|ies)', 'warranty extensions?',
        charged ~ ' (fee|surcharge|charge)s?',
        'carbon *(neutral|offset|negative)s?( (order|shipping|delivery|shipment|fee))?',
        '(versand|transport|paket|liefer|bestell)(versicherung|schutz)', 'garantieverlängerung', 'anschlussgarantie',
        '(bearbeitungs|service|versand|zahlungs|nachnahme|verpackungs|umwelt)(gebühr|zuschlag|pauschale)(en)?',
        '(mindermengen|express)zuschlag',
        '(assurance|protection|garantie) *(de |du |des |la |de la |d.|de l.)?(livraison|colis|commande|transport|expédition|envoi)',
        'garantie (étendue|prolongée)', 'extension de garantie',
        'frais de (port|service|dossier|traitement|gestion|livraison|manutention)',
        '(seguro|protecci[oó]n|garant[ií]a) (de |del |al )?(env[ií]o|paquete|pedido|entrega)s?', 'garant[ií]a extendida',
        '(cargo|tarifa|gastos?) (de|por) (servicio|env[ií]o|gesti[oó]n|manejo)',
        '(assicurazione|protezione) (sulla |di |del |dell.|della )?(spedizione|pacco|ordine|consegna)', 'garanzia estesa',
        '(spese|costi|commissione) di (spedizione|gestione|servizio)',
        '(verzend|pakket|transport|bestel)(verzekering|bescherming)', 'verlengde garantie',
        '(service|verzend|administratie|behandelings?)kosten',
        '(seguro|proteção|protecao) (de |do |da )?(envio|frete|entrega|pedido|encomenda)', 'garantia estendida',
        'taxa de (serviço|envio|manuseio|entrega)',
        '(ubezpieczenie|ochrona) (przesyłki|paczki|wysyłki|zamówienia)', 'przedłużona gwarancja', 'opłata (manipulacyjna|serwisowa)',
        '(frakt|leverans)(försäkring|skydd)', '(fragt|pakke|frakt|leverings)(forsikring|beskyttelse)',
    ] -%}
    {%- set unspaced = [
        '(配送|運送|輸送)(保険|保護)', '延長保証', '(代引き?|決済|送料)手数料', '运费险', '运费保险', '运输保险', '延长保修', '手续费',
        '배송 *(보험|보호)', '보증 *연장',
    ] -%}
    [ ;]({{ spaced | join('|') }})[ ;]|{{ unspaced | join('|') }}
{%- endmacro %}

{% macro rider_kinds() -%}
    {%- set kinds = [
        'insurances?', '((years?|limited|lifetime) )?warrant(y|ies)', 'fees?', 'surcharges?', 'tip', 'gratuit(y|ies)', 'donations?', 'deposits?',
        'shipping', 'shipping rates?', 'tip jar', 'order tip', 'versicherung(en)?', 'gebühr(en)?', 'trinkgeld',
        'spenden?', 'pfand', 'assurances?', 'pourboires?', 'seguros?', 'propinas?', 'donaci[oó]n(es)?', 'assicurazion[ei]',
        'mancia', 'donazion[ei]', 'verzekering(en)?', 'toeslag', 'fooi', 'donaties?', 'ubezpieczeni[ea]', 'napiwek',
        'f[oö]rs[aä]kring', 'forsikring', '保険', '保险', '手数料', '手续费', '小费', '寄付', '捐赠', '보험', '기부',
    ] -%}
    {{ kinds | join('|') }}
{%- endmacro %}
