/**
 * Fills the storefront's <pixelnova-recommendations> (or [data-pixelnova]) with recommendations.
 *
 * Published files or answers of the read API flow in; cards by the theme's own <template>, the custom events
 * `pixelnova:recommendation_viewed` and `…_clicked`, and the line-item property `_pixelnova_rec` flow out. Whatever
 * fails leaves the page as it was. This is the source; README.md says how the file that is shipped is made from it.
 */
{
  const page = document; // a name that a minifier can shorten
  const shopify = self.Shopify ?? {};
  const PRODUCT_PAGE = "product_page";
  const PROPERTY = "properties[_pixelnova_rec]";

  const shown = new Set(); // products of this page's lists so far: no two lists show the same
  let most = 1; // how many products these lists may show, and the page itself one

  /** Give `update` what is kept under a key; keep what comes of it, the `value`, if we may. */
  const remember = (key, update, value) => {
    try {
      if (shopify.customerPrivacy?.preferencesProcessingAllowed?.() ?? true) {
        value = update(JSON.parse(localStorage[key] ?? null));
        localStorage[key] = JSON.stringify(value);
      }
    } catch {
      // Storage is full, forbidden or holds nonsense: the page goes by what it knows itself.
    }
    return value ?? update();
  };

  /** What was clicked in the last 24 hours, the newest first. rec: what `_pixelnova_rec` says of it. */
  const clicks = (newest) =>
    remember("pixelnova:clicked", (before) => [newest, before].flat().filter((one) => one?.at > Date.now() - 864e5));

  /** An address that leads to a page or a picture and runs nothing; else "". */
  const safe = (url, absolute = new URL(url ?? "x:", location)) => (/^https?:/.test(absolute) ? absolute : "");

  /** A price as the page writes prices; nothing where it is of another currency than the page's, or of none. */
  const money = (price, lang = page.documentElement.lang) => {
    try {
      if (price && price.currency == (shopify.currency?.active ?? price.currency))
        return (+price.amount).toLocaleString(lang || [], {style: "currency", ...price});
    } catch {
      return lang && money(price, ""); // not a language: the browser's own; nor a currency: no price
    }
  };

  /** Fill one list. above: a promise that the list above it is filled, for that one chooses first. */
  const render = async (element, above) => {
    const {shop, product, placement = PRODUCT_PAGE, limit = 8, source} = element.dataset;
    const enough = Math.min((most += +limit), 50); // to choose from, whatever the lists above show; the API's most
    const viewed = remember("pixelnova:viewed", (before) =>
      (before ?? []).filter((id) => id != product).concat(product || []).slice(-5), // the newest last
    );

    // Was the product on this page clicked in a list? Then its forms say so to the cart; those of others do not.
    const value = clicks().find((one) => one.id == product)?.rec;
    if (value)
      for (const form of page.querySelectorAll('form[action*="/cart/add"]'))
        if (!form[PROPERTY] && (form["product-id"]?.value ?? product) == product)
          form.append(Object.assign(page.createElement("input"), {type: "hidden", name: PROPERTY, value}));

    let timer; // runs while the list is in sight
    let head; // of the newest answer: which version, made by which model
    const read = async (name, id = product) => {
      const isSession = name == "session";
      const ofProduct = /_/.test(name);
      const isApi = /v1$/.test(source);
      if (isSession ? !viewed[0] : ofProduct && !id) return []; // there is nothing to go by
      if (isSession && !isApi) {
        // What was viewed with the last products, the newer the weightier; at most three of one vendor and type.
        const sums = {__proto__: null}; // by id, and how many of a group: its name is no id, for it has a comma
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
          .sort() // what scores the same stands by id, as in the API's answers
          .map((id) => sums[id])
          .sort((one, other) => other.score - one.score)
          // -~: one more, or one
          .filter(({vendor, type}) => !(vendor && type && (sums[[vendor, type]] = -~sums[[vendor, type]]) > 3));
      }
      const hash = new TextEncoder() // FNV-1a, folded below: as shard_name in serving/published.py
        .encode(id)
        .reduce((number, byte) => Math.imul(number ^ byte, 0x01000193), 0x811c9dc5);
      const answer = (head = await (
        await fetch(
          `${source}/shops/${shop}/` +
            (isApi
              ? `${ofProduct ? `products/${id}/recommendations?placement=${name}&` : name + "?"}limit=${enough}`
              : ofProduct
                ? `products/${((hash ^ (hash >>> 16)) & 255).toString(16).padStart(2, 0)}.json`
                : "lists.json"),
          // Text, and not called JSON: browsers need no leave to send that to another host.
          isSession ? {method: "POST", body: JSON.stringify({products: viewed})} : {},
        )
      ).json());
      return answer.items ?? answer[name] ?? answer.products[id].placements[name];
    };

    const template = element.querySelector("template");
    const request_id = crypto.randomUUID();
    const publish = (what, data) =>
      shopify.analytics?.publish?.("pixelnova:recommendation_" + what, {
        v: 1,
        request_id,
        placement,
        seed_product_id: product,
        model_version: head.model_version,
        version: head.version,
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
          // The page's own host, where the shopper's storage is; `url` may be of another domain of the shop.
          node.href = safe(handle ? (shopify.routes?.root ?? "/") + "products/" + handle : url);
          node.onclick = node.onauxclick = (event) => {
            if (event.button > 1) return; // the right one opens a menu
            publish("clicked", {product_id, strategy, position});
            clicks({id: product_id, rec: [request_id, placement, strategy, position].join("."), at: Date.now()});
          };
        } else if (field == "image") {
          node.alt = title;
          (node.src = safe(image)) || node.remove();
        } else
          // A reason has the theme's own words: data-popular="Popular now".
          node.textContent = {title, price: money(price)}[field] ?? node.dataset[strategy];
      });
      const position = product_ids.push(product_id);
      strategies.push(strategy);
      shown.add(product_id);
      template.before(card);
    };

    for (const name of /_to/.test(placement) ? [placement] : new Set([placement, PRODUCT_PAGE, "popular"]))
      try {
        const items = await read(name);
        await above;
        for (const item of items)
          try {
            draw(item);
          } catch {
            // An item that cannot be shown: the others can.
          }
        if (product_ids[0]) break;
      } catch {
        // No answer, or none that can be read: perhaps the next list has one.
      }
    if (product_ids[0]) {
      element.hidden = false;
      // Viewed: at least half of the list, for a second, once.
      new IntersectionObserver(
        (entries, observer) => {
          clearTimeout(timer);
          timer =
            entries.pop().intersectionRatio >= 0.5 &&
            setTimeout(() => {
              observer.disconnect();
              publish("viewed", {product_ids, strategies});
            }, 1000);
        },
        {threshold: 0.5},
      ).observe(template.parentNode);
    }
  };

  let above;
  page.querySelectorAll("pixelnova-recommendations,[data-pixelnova]").forEach(
    // once: a page may bring this file twice
    (element) => (above = element.drawn ??= render(element, above).catch(() => {})),
  );
}
