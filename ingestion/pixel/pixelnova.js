/**
 * Sends a storefront's web pixel events to a Pixelnova collector.
 *
 * Shopify's pixel API flows in; requests `{pixel_version, shop, consent, events}` flow out, to
 * POST <collectorUrl>/v1/events/<ingestKey>. Nothing is sent without consent to analytics, nothing that a buyer has typed
 * is sent at all, and what could not be sent waits in the browser's storage for the next page.
 */
export function startPixelnova({analytics, browser, customerPrivacy, init}, {collectorUrl, ingestKey}) {
  const VERSION = "1";
  const MAX_EVENTS = 20;
  const MAX_WAIT_MS = 400;
  const MAX_EVENT_BYTES = 32_000; // the collector takes no larger one
  const MAX_BYTES = 60_000; // browsers refuse keepalive requests of more than 64 KiB in flight together
  const RETRY_AFTER_MS = [1_000, 3_000, 9_000];
  const KEPT_FOR_MS = 24 * 3600 * 1000;
  const MAX_KEPT = 20;
  const OUTBOX = "pixelnova:out:";
  const URGENT = /^(checkout_completed|pixelnova:)/;

  // The collector takes the same out once more (ingestion/collector/personal_data.py): what is not sent cannot leak.
  const PERSONAL = /^(email|phone|smsMarketingPhone|firstName|lastName|company|address1|address2|city|zip|latitude|longitude|note)$/;
  const ADDRESS = /^(billingAddress|shippingAddress)$/;
  const LISTS = /^(productVariants|lineItems|lines)$/;
  const KEPT_OF_ADDRESS = ["country", "countryCode", "provinceCode"];

  const url = `${collectorUrl.replace(/\/+$/, "")}/v1/events/${ingestKey}`;
  const shop = init?.data?.shop?.myshopifyDomain ?? null;
  const bytes = (text) => new TextEncoder().encode(text).length;
  let consent = init?.customerPrivacy ?? {};
  let withdrawals = 0;
  let batch = newBatch();
  let timer = null;
  const keptHere = []; // keys that this page has put into the outbox, oldest first

  function newBatch() {
    return {key: `${OUTBOX}${Date.now()}:${Math.random().toString(36).slice(2)}`, texts: [], size: 0};
  }

  const mayCollect = () => consent.analyticsProcessingAllowed === true;

  function withoutPersonalData(value) {
    if (Array.isArray(value)) return value.map(withoutPersonalData);
    if (value === null || typeof value !== "object") return value;
    const kept = {};
    for (const [key, inner] of Object.entries(value)) {
      if (PERSONAL.test(key)) kept[key] = null;
      else if (ADDRESS.test(key)) kept[key] = inner && Object.fromEntries(KEPT_OF_ADDRESS.map((k) => [k, inner[k] ?? null]));
      else kept[key] = withoutPersonalData(inner);
    }
    return kept;
  }

  /** What a cart of hundreds of lines needs to be an order all the same: of each line what it is and costs. */
  function withShortLines(value) {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(withShortLines);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, LISTS.test(key) ? inner?.map(short) : withShortLines(inner)]));
  }

  function short(line) {
    const {id, sku, price, quantity, cost, finalLinePrice, properties, product, variant, merchandise} = line ?? {};
    return {
      id, sku, price, quantity, cost, finalLinePrice,
      properties: properties?.filter(({key}) => key.startsWith("_pixelnova")),
      product: product && {id: product.id},
      variant: variant && short(variant),
      merchandise: merchandise && short(merchandise),
    };
  }

  const withoutLists = (value) => JSON.parse(JSON.stringify(value, (key, inner) => (LISTS.test(key) ? [] : inner)));

  /** The event as text that the collector takes: whole if it can be, else with less and less of its lists; null if not even so. */
  function textOf(event) {
    const data = withoutPersonalData(event.data);
    for (const shorten of [(all) => all, withShortLines, withoutLists]) {
      const text = JSON.stringify({...event, data: shorten(data)});
      if (bytes(text) <= MAX_EVENT_BYTES) return text;
    }
    return null;
  }

  function take(event) {
    if (!mayCollect()) return;
    const text = textOf(event);
    if (text === null) return;
    const size = bytes(text) + 1;
    if (batch.texts.length && batch.size + size > MAX_BYTES - 1_000) flush(); // 1,000: what stands around the events
    batch.texts.push(text);
    batch.size += size;
    keep(batch.key, bodyOf(batch)); // the page may go away before the batch is sent
    if (batch.texts.length >= MAX_EVENTS || URGENT.test(event.name)) flush();
    else timer ??= setTimeout(flush, MAX_WAIT_MS);
  }

  function bodyOf({texts}) {
    const about = JSON.stringify({pixel_version: VERSION, shop, consent}).slice(0, -1);
    return `${about},"events":[${texts.join(",")}]}`;
  }

  function flush() {
    clearTimeout(timer);
    timer = null;
    if (!batch.texts.length) return;
    const {key} = batch;
    const body = bodyOf(batch);
    batch = newBatch();
    send(body, key);
  }

  /** Send until the collector has it or will never take it; each time the identical body, so that it counts once. */
  async function send(body, key, attempt = 0, since = withdrawals) {
    if (!mayCollect() || since !== withdrawals) return; // withdrawn meanwhile, even if allowed again
    const status = await post(body, since);
    if (status !== null && status !== 408 && status !== 429 && status < 500) return forget(key, body);
    if (attempt < RETRY_AFTER_MS.length) setTimeout(() => send(body, key, attempt + 1, since), RETRY_AFTER_MS[attempt]);
  }

  /** The answer's status; null when there was none. Text/plain needs no preflight. */
  async function post(body, since) {
    const request = {method: "POST", credentials: "omit", headers: {"Content-Type": "text/plain"}, body};
    try {
      return (await fetch(url, {...request, keepalive: true})).status;
    } catch {
      // The network, or the browser's limit on what all keepalive requests may carry together.
    }
    if (!mayCollect() || since !== withdrawals) return null;
    try {
      return (await fetch(url, request)).status;
    } catch {
      return null;
    }
  }

  // The outbox: what was not acknowledged when the page went away is sent by the next one.

  async function keep(key, body) {
    if (!keptHere.includes(key)) keptHere.push(key);
    if (keptHere.length > MAX_KEPT) forget(keptHere.shift());
    try {
      await browser.localStorage.setItem(key, body);
    } catch {
      // Full or not allowed: then it is sent from memory only.
    }
  }

  /** Forget what was sent, unless its page has put more into it meanwhile. */
  async function forget(key, sent = null) {
    try {
      if (sent !== null && (await browser.localStorage.getItem(key)) !== sent) return;
      await browser.localStorage.removeItem(key);
    } catch {
      // It expires.
    }
  }

  async function keptKeys() {
    try {
      const length = await browser.localStorage.length();
      const keys = await Promise.all(Array.from({length}, (_, index) => browser.localStorage.key(index)));
      return keys.filter((key) => key?.startsWith(OUTBOX)).sort();
    } catch {
      return [];
    }
  }

  async function sendKept() {
    const keys = await keptKeys();
    for (const [index, key] of keys.entries()) {
      const tooOld = Date.now() - Number(key.split(":")[2]) > KEPT_FOR_MS;
      if (tooOld || index < keys.length - MAX_KEPT) await forget(key);
      else if (mayCollect() && key !== batch.key) {
        const body = await browser.localStorage.getItem(key).catch(() => null);
        if (body) send(body, key);
      }
    }
  }

  async function forgetAll() {
    batch = newBatch();
    for (const key of await keptKeys()) await forget(key);
  }

  customerPrivacy?.subscribe("visitorConsentCollected", (event) => {
    if (event.customerPrivacy.analyticsProcessingAllowed) flush(); // collected under the consent of then
    const could = mayCollect();
    consent = event.customerPrivacy;
    if (!mayCollect()) {
      withdrawals += 1;
      forgetAll();
    } else if (!could) sendKept();
  });
  // Standard and custom events only: DOM events record what people type.
  analytics.subscribe("all_standard_events", take);
  analytics.subscribe("all_custom_events", take);
  if (consent.analyticsProcessingAllowed === false) forgetAll();
  else sendKept();
}
