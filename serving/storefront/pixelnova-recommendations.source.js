/**
 * Fills the storefront's <pixelnova-recommendations> (or [data-pixelnova]) with recommendations.
 *
 * Published files or answers of the read API flow in; cards by the theme's own <template>, the custom events
 * `pixelnova:recommendation_viewed` and `…_clicked`, and the line-item property `_pixelnova_rec` flow out. Whatever
 * fails leaves the page as it was. This is the source; README.md says how the file that is shipped is made from it.
 */
{
  const page = document; // names that a minifier can shorten
  const here = window;
  const shopify = here.Shopify ?? {};
  const PRODUCT_PAGE = "product_page";
  const PROPERTY = "properties[_pixelnova_rec]";

  /** Give `update` what a storage keeps under a key, and keep what comes of it, if we may. */
  const remember = (storage, key, update) => {
    try {
      if (shopify.customerPrivacy?.preferencesProcessingAllowed?.() ?? true) {
        const value = update(JSON.parse(here[storage][key] ?? null));
        here[storage][key] = JSON.stringify(value);
        return value;
      }
    } catch {
      // Storage is full, forbidden or holds nonsense: the page goes by what it knows itself.
    }
    return update();
  };

  /** What was clicked: product id ▶ what `_pixelnova_rec` says of it. */
  const clicks = (more) => remember("sessionStorage", "pixelnova:clicked", (before) => ({...before, ...more}));

  /** An address that leads to a page or a picture and runs nothing; else "". */
  const safe = (url) => {
    const absolute = new URL(url ?? "x:", location);
    return /^https?:/.test(absolute) ? absolute : "";
  };

  const render = async (element) => {
    const {shop, product, placement = PRODUCT_PAGE, limit = 8, source} = element.dataset;
    const viewed = remember("localStorage", "pixelnova:viewed", (before) =>
      (before ?? []).filter((id) => id != product).concat(product ?? []).slice(-5), // the newest last
    );

    // Was the product on this page clicked in a list? Then its forms say so to the cart; those of others do not.
    const value = clicks()[product];
    if (value)
      for (const form of page.querySelectorAll('form[action*="/cart/add"]'))
        if (!form[PROPERTY] && (form["product-id"]?.value ?? product) == product)
          form.append(Object.assign(page.createElement("input"), {type: "hidden", name: PROPERTY, value}));

    let head; // of the newest answer: which version, made by which model
    const get = async (path, body) =>
      (head = await (
        await fetch(
          `${source}/shops/${shop}/${path}`,
          body ? {method: "POST", body: new Blob([JSON.stringify(body)], {type: "application/json"})} : {},
        )
      ).json());

    const read = async (name, id = product) => {
      const ofProduct = /_/.test(name);
      const isSession = name == "session";
      if (/v1$/.test(source))
        return (
          await get(
            `${ofProduct ? `products/${id}/recommendations` : name}?placement=${name}&limit=${limit}`,
            isSession && {products: viewed},
          )
        ).items;
      if (isSession) {
        // What was viewed with the last products, the newer the weightier; at most three of one vendor and type.
        const sums = {__proto__: null};
        const groups = sums; // a group's name is no product id: it has a comma
        const lists = await Promise.all(viewed.map((seed) => read("viewed_together", seed).catch(() => [])));
        lists.map((items, index) =>
          items.map(
            (item) =>
              ((sums[item.product_id] ??= {...item, score: 0}).score += item.score / (viewed.length - index) ** 1.5),
          ),
        );
        return Object.keys(sums)
          .sort() // what scores the same stands by id, as in the API's answers
          .map((id) => sums[id])
          .sort((one, other) => other.score - one.score)
          .filter(
            ({product_id, vendor, type}) =>
              !viewed.includes(product_id) &&
              !(vendor && type && (groups[[vendor, type]] = -~groups[[vendor, type]]) > 3), // -~: one more, or one
          );
      }
      if (!ofProduct) return (await get("lists.json"))[name];
      let shard = 0x811c9dc5; // FNV-1a, folded: as shard_name in serving/published.py
      for (const byte of new TextEncoder().encode(id)) shard = Math.imul(shard ^ byte, 0x01000193);
      shard = ((shard ^ (shard >>> 16)) & 255).toString(16).padStart(2, 0);
      return (await get(`products/${shard}.json`)).products[id].placements[name];
    };

    let items = [];
    for (const name of /_to/.test(placement) ? [placement] : new Set([placement, PRODUCT_PAGE, "popular"]))
      try {
        items = (await read(name)).filter((item) => item.product_id != product).slice(0, limit);
        if (items[0]) break;
      } catch {
        // No answer, or none that can be read: perhaps the next list has one.
      }

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
    for (const {product_id, title, price, handle, url, image, reason} of items)
      try {
        const strategy = reason.code;
        const currency = price?.currency;
        const amount =
          currency && (+price.amount).toLocaleString(page.documentElement.lang || [], {style: "currency", currency});
        const card = template.content.cloneNode(true);
        card.querySelectorAll("[data-field]").forEach((node) => {
          const field = node.dataset.field;
          if (field == "link") {
            // The page's own host, where the shopper's storage is; `url` may be of another domain of the shop.
            node.href = safe(handle ? (shopify.routes?.root ?? "/") + "products/" + handle : url);
            node.onclick = () => {
              publish("clicked", {product_id, strategy, position});
              clicks({[product_id]: [request_id, placement, strategy, position].join(".")});
            };
          } else if (field == "image") {
            node.alt = title;
            (node.src = safe(image)) || node.remove();
          } else
            // A reason has the theme's own words: data-popular="Popular now".
            node.textContent = {title, price: amount}[field] ?? node.dataset[strategy];
        });
        const position = product_ids.push(product_id);
        strategies.push(strategy);
        template.before(card);
      } catch {
        // An item that cannot be shown: the others can.
      }
    if (product_ids[0]) {
      element.hidden = false;
      // Viewed: at least half of the list, for a second, once.
      let timer;
      new IntersectionObserver(
        (entries, observer) => {
          clearTimeout(timer);
          if (entries.pop().intersectionRatio >= 0.5)
            timer = setTimeout(() => {
              observer.disconnect();
              publish("viewed", {product_ids, strategies});
            }, 1000);
        },
        {threshold: 0.5},
      ).observe(template.parentNode);
    }
  };

  page.querySelectorAll("pixelnova-recommendations,[data-pixelnova]").forEach(
    (element) => (element.drawn ??= render(element).catch(() => {})), // once: a page may bring this file twice
  );
}
