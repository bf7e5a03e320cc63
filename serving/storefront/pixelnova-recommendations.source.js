/**
 * Fills the storefront's <pixelnova-recommendations> (or [data-pixelnova]) with recommendations.
 *
 * Reads published files or the read API, renders cards from the theme's <template>, publishes the custom events
 * `pixelnova:recommendation_viewed`, `…_clicked` and `pixelnova:experiment_exposed`, and sets the line-item property
 * `_pixelnova_rec`. On any failure the page stays unchanged. This is the source; README.md describes how to build the shipped file.
 */
{
  const page = document; // an alias that a minifier can shorten
  const shopify = self.Shopify ?? {};
  const PRODUCT_PAGE = "product_page";
  const PROPERTY = "properties[_pixelnova_rec]";
  const UNIT = "pixelnova:unit";
  const VIEWED = "pixelnova:viewed";
  const CLICKED = "pixelnova:clicked";

  const shown = new Set(); // products already in this page's lists, so that no two lists show the same product
  let most = 1; // how many products these lists can show, plus one for the page's own product
  let experiments; // a promise of the shop's phases of experiments, read once per page
  let unit; // this browser in experiments: a random id, only with consent to preferences
  let visitor; // how the visit began (query, host of the referrer) and the browser: what an audience is matched with

  const mayStore = () => shopify.customerPrivacy?.preferencesProcessingAllowed?.() ?? true;

  /** Find or make the unit, or remove everything that is stored if consent is missing. */
  const identify = () => {
    unit = undefined;
    try {
      if (mayStore()) {
        visitor = sessionStorage[UNIT] ??=
          location.search + " " + page.referrer.split("/")[2] + "\n" + navigator.userAgent;
        unit = localStorage[UNIT] ??= crypto.randomUUID();
      } else {
        delete sessionStorage[UNIT];
        for (const key of [UNIT, VIEWED, CLICKED]) delete localStorage[key];
      }
    } catch {
      // Without storage the browser takes no part: a new unit on each page would be worse.
    }
  };

  /** FNV-1a, 32 bits, of the UTF-8 bytes. */
  const hash = (text) =>
    new TextEncoder().encode(text).reduce((number, byte) => Math.imul(number ^ byte, 0x01000193), 0x811c9dc5) >>> 0;

  /** Whether the unit's bucket with this seed is in a range; like assigned_bucket in ingestion/assignment.py. */
  const isAssigned = (seed, from, to, bucket = hash("" + hash(seed + unit)) % 1e4) => bucket >= from && bucket < to;

  /** Update the stored value of a key with `update`, if consent allows storage; returns the new `value`. */
  const remember = (key, update, value) => {
    try {
      if (mayStore()) {
        value = update(JSON.parse(localStorage[key] ?? null));
        localStorage[key] = JSON.stringify(value);
      }
    } catch {
      // Storage is full, forbidden or corrupt: continue without it.
    }
    return value ?? update();
  };

  /** Clicks of the last 24 hours, newest first. rec: the value of `_pixelnova_rec`. */
  const clicks = (newest) =>
    remember(CLICKED, (before) => [newest, before].flat().filter((click) => click?.at > Date.now() - 864e5));

  /** The URL if it is http(s), so that it cannot run a script; else "". */
  const safe = (url, absolute = new URL(url ?? "x:", location)) => (/^https?:/.test(absolute) ? absolute : "");

  /** The price in the page's locale; undefined if its currency is missing or is not the page's. */
  const money = (price, lang = page.documentElement.lang) => {
    try {
      if (price && price.currency == (shopify.currency?.active ?? price.currency))
        return (+price.amount).toLocaleString(lang || [], {style: "currency", ...price});
    } catch {
      return lang && money(price, ""); // invalid language: use the browser's; invalid currency: no price
    }
  };

  /** Fill one list. above: a promise of the list above, which picks its products first. */
  const render = async (element, above) => {
    const {shop, product, placement = PRODUCT_PAGE, limit = 8, source} = element.dataset;
    const isApi = /v1$/.test(source);
    const enough = Math.min((most += +limit), 50); // enough to choose from after the lists above; 50 is the API's maximum
    const viewed = remember(VIEWED, (before) =>
      (before ?? []).filter((id) => id != product).concat(product || []).slice(-5), // newest last
    );

    // If this page's product was clicked in a list, add that to its own add-to-cart forms, not to those of other products.
    const value = clicks().find((click) => click.id == product)?.rec;
    if (value)
      for (const form of page.querySelectorAll('form[action*="/cart/add"]'))
        if (!form[PROPERTY] && (form["product-id"]?.value ?? product) == product)
          form.append(Object.assign(page.createElement("input"), {type: "hidden", name: PROPERTY, value}));

    let timer; // runs while the list is visible
    let head; // of the latest response: version and model version
    const read = async (name, id = product) => {
      const isSession = name == "session";
      const ofProduct = /_|similar/.test(name);
      if (isSession ? !viewed[0] : ofProduct && !id) return []; // no product to start from
      if (isSession && !isApi) {
        // Combine viewed_together of the last products, weighted by recency; at most three of one vendor and type.
        const sums = {__proto__: null}; // scores by id, and counts by group: a group key contains a comma, so it never equals an id
        const lists = await Promise.all(viewed.map((seed) => read("viewed_together", seed).catch(() => [])));
        lists.map((items, index) =>
          items.map(
            (item) =>
              ((sums[item.product_id] ??= {...item, score: 0, reason: {code: name}}).score +=
                item.score / (viewed.length - index) ** 1.5),
          ),
        );
        viewed.map((id) => delete sums[id]);
        return Object.keys(sums)
          .sort() // ties are broken by id, as in the API
          .map((id) => sums[id])
          .sort((left, right) => right.score - left.score)
          // -~: increment, from undefined to 1
          .filter(({vendor, type}) => !(vendor && type && (sums[[vendor, type]] = -~sums[[vendor, type]]) > 3));
      }
      const shard = hash(id); // folded below, like shard_name in serving/published.py
      const answer = (head = await (
        await fetch(
          `${source}/shops/${shop}/` +
            (isApi
              ? `${ofProduct ? `products/${id}/recommendations?placement=${name}&` : name + "?"}limit=${enough}`
              : ofProduct
                ? `products/${((shard ^ (shard >>> 16)) & 255).toString(16).padStart(2, 0)}.json`
                : "lists.json"),
          // Sent as plain text rather than JSON, which would need a CORS preflight.
          isSession ? {method: "POST", body: JSON.stringify({products: viewed})} : {},
        )
      ).json());
      return answer.items ?? answer[name] ?? answer.products[id].placements[name];
    };

    const template = element.querySelector("template");
    const request_id = crypto.randomUUID();
    const publish = (what, data) =>
      shopify.analytics?.publish?.("pixelnova:" + what, {
        v: 1,
        request_id,
        placement,
        seed_product_id: product,
        model_version: head?.model_version,
        version: head?.version,
        ...data,
      });

    const product_ids = [];
    const strategies = [];
    const draw = ({product_id, title, price, handle, url, image, reason: {code: strategy}}) => {
      if (product_id == product || shown.has(product_id) || product_ids[limit - 1]) return;
      const card = template.content.cloneNode(true);
      card.querySelectorAll("[data-field]").forEach((node) => {
        const field = node.dataset.field;
        if (field == "link") {
          // Stay on the page's host, which has the shopper's storage; `url` may use another domain of the shop.
          node.href = safe(handle ? (shopify.routes?.root ?? "/") + "products/" + handle : url);
          node.onclick = node.onauxclick = (event) => {
            if (event.button > 1) return; // the right button opens a menu
            publish("recommendation_clicked", {product_id, strategy, position});
            clicks({id: product_id, rec: [request_id, placement, strategy, position].join("."), at: Date.now()});
          };
        } else if (field == "image") {
          node.alt = title;
          (node.src = safe(image)) || node.remove();
        } else
          // The theme words each reason: data-popular="Popular now".
          node.textContent = {title, price: money(price)}[field] ?? node.dataset[strategy];
      });
      const position = product_ids.push(product_id);
      strategies.push(strategy);
      shown.add(product_id);
      template.before(card);
    };

    let tiers = /_to/.test(placement) ? [placement] : [placement, PRODUCT_PAGE, "popular"];
    if (unit)
      try {
        experiments ??= fetch(`${source}/shops/${shop}/experiments` + (isApi ? "" : ".json")).then((answer) => answer.json());
        const now = new Date().toISOString();
        for (const of of (await experiments).experiments) {
          const variation =
            unit && // consent may be withdrawn while the file is on its way
            now >= of.started_at &&
            !(now >= of.ended_at) && // never, if it is null
            (of.placements?.includes(placement) ?? true) &&
            RegExp(of.audience).test(visitor) &&
            isAssigned(of.layer, of.layer_from, of.layer_to) &&
            of.variations.find((one) => isAssigned(of.seed, one.bucket_from, one.bucket_to));
          if (variation) {
            // Whatever the list will hold: what a variation shows must not decide who is counted.
            publish("experiment_exposed", {experiment: of.experiment, phase: of.phase, variation: variation.variation, unit});
            tiers = variation.tiers ?? tiers;
            // The holdout comes first; of the others, at most one assigns this unit a list here.
            if (variation.tiers) break;
          }
        }
      } catch {
        // No response, or an invalid one: the default lists.
      }
    for (const name of new Set(tiers))
      try {
        const items = await read(name);
        await above;
        for (const item of items)
          try {
            draw(item);
          } catch {
            // Skip an item that cannot be rendered.
          }
        if (product_ids[0]) break;
      } catch {
        // No response, or an invalid one: try the next list.
      }
    if (product_ids[0]) {
      element.hidden = false;
      // Viewed: at least half of the list visible for one second, reported once.
      new IntersectionObserver(
        (entries, observer) => {
          clearTimeout(timer);
          timer =
            entries.pop().intersectionRatio >= 0.5 &&
            setTimeout(() => {
              observer.disconnect();
              publish("recommendation_viewed", {product_ids, strategies});
            }, 1000);
        },
        {threshold: 0.5},
      ).observe(template.parentNode);
    }
  };

  identify();
  page.addEventListener("visitorConsentCollected", identify);
  let above;
  page.querySelectorAll("pixelnova-recommendations,[data-pixelnova]").forEach(
    // once: a page may include this file twice
    (element) => (above = element.drawn ??= render(element, above).catch(() => {})),
  );
}
