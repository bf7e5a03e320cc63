/**
 * Sends a storefront's web pixel events to a Pixelnova collector.
 *
 * Subscribes to Shopify's pixel API and sends requests `{pixel_version, shop, consent, gpc, events}` to
 * POST <collectorUrl>/v1/events/<ingestKey>. Sends nothing without consent to analytics and never a buyer's input; events
 * that could not be sent wait in the browser's storage for the next page.
 */
export function startPixelnova({analytics, browser, customerPrivacy, init}, {collectorUrl, ingestKey}) {
  const VERSION = "1";
  const MAX_EVENTS = 20;
  const MAX_WAIT_MS = 400;
  const MAX_EVENT_BYTES = 32_000; // just below the collector's limit
  const MAX_BYTES = 60_000; // browsers refuse keepalive requests of more than 64 KiB in flight together
  const RETRY_AFTER_MS = [1_000, 3_000, 9_000];
  const KEPT_FOR_MS = 24 * 3600 * 1000;
  const MAX_KEPT = 20;
  const OUTBOX = "pixelnova:out:";
  const URGENT = /^(checkout_completed|pixelnova:)/;

  const LISTS = /^(productVariants|lineItems|lines)$/;
  const withoutPersonalData = personalDataRemover(PERSONAL_DATA); // packaging.py adds both

  const url = `${collectorUrl.replace(/\/+$/, "")}/v1/events/${ingestKey}`;
  const shop = init?.data?.shop?.myshopifyDomain ?? null;
  const bytes = (text) => new TextEncoder().encode(text).length;
  let consent = init?.customerPrivacy ?? {};
  let withdrawals = 0;
  let batch = newBatch();
  let timer = null;
  const keptHere = []; // outbox keys of this page, oldest first

  function newBatch() {
    return {key: `${OUTBOX}${Date.now()}:${Math.random().toString(36).slice(2)}`, texts: [], size: 0};
  }

  const mayCollect = () => consent.analyticsProcessingAllowed === true;

  /**
   * Shortens the lines of large carts and orders to product, price and discounts. If even that does not fit, keeps the first
   * `count` lines and adds the true number of lines.
   */
  function withShortLines(value, count = Infinity) {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((one) => withShortLines(one, count));
    const entries = Object.entries(value).flatMap(([key, inner]) => {
      if (!LISTS.test(key) || !Array.isArray(inner)) return [[key, withShortLines(inner, count)]];
      const lines = inner.slice(0, count).map(short);
      return lines.length === inner.length ? [[key, lines]] : [[key, lines], ["linesComplete", false], ["lineCount", inner.length]];
    });
    return Object.fromEntries(entries);
  }

  function short(line) {
    const {id, sku, price, quantity, cost, finalLinePrice, properties, product, variant, merchandise, discountAllocations} = line ?? {};
    return {
      id, sku, price, quantity, cost, finalLinePrice,
      discountAllocations: Array.isArray(discountAllocations) ? sumsOf(discountAllocations) : undefined,
      properties: properties?.filter(({key}) => key.startsWith("_pixelnova")),
      product: product && {id: product.id},
      variant: variant && short(variant),
      merchandise: merchandise && short(merchandise),
    };
  }

  /** The discounts of a line, summed by kind: one allocation per kind. */
  function sumsOf(allocations) {
    const sums = new Map();
    for (const {amount, discountApplication} of allocations) {
      const {allocationMethod, targetSelection, targetType, type} = discountApplication ?? {};
      const kind = {allocationMethod, targetSelection, targetType, type};
      const key = JSON.stringify([kind, amount?.currencyCode]);
      const sum = Number(amount?.amount ?? 0) + (sums.get(key)?.amount.amount ?? 0);
      sums.set(key, {amount: {...amount, amount: Math.round(sum * 1e4) / 1e4}, discountApplication: discountApplication && kind});
    }
    return [...sums.values()];
  }

  /** The event as text within the size limit: whole if it fits, else with short lines, else with as many lines as fit. */
  function textOf(event) {
    const whole = withoutPersonalData(event);
    const textWith = (data) => JSON.stringify({...whole, data});
    const fits = (text) => bytes(text) <= MAX_EVENT_BYTES;
    const full = textWith(whole.data);
    if (fits(full)) return full;
    let [best, few, many] = [textWith(withShortLines(whole.data)), 0, 1_000];
    if (fits(best)) return best;
    best = textWith(withShortLines(whole.data, 0));
    if (!fits(best)) return null;
    while (many - few > 1) {
      const count = (few + many) >> 1;
      const text = textWith(withShortLines(whole.data, count));
      if (fits(text)) [best, few] = [text, count];
      else many = count;
    }
    return best;
  }

  function take(event) {
    if (!mayCollect()) return;
    const text = textOf(event);
    if (text === null) return;
    const size = bytes(text) + 1;
    if (batch.texts.length && batch.size + size > MAX_BYTES - 1_000) flush(); // 1,000: the JSON around the events
    batch.texts.push(text);
    batch.size += size;
    keep(batch.key, bodyOf(batch)); // the page may close before the batch is sent
    if (batch.texts.length >= MAX_EVENTS || URGENT.test(event.name)) flush();
    else timer ??= setTimeout(flush, MAX_WAIT_MS);
  }

  function bodyOf({texts}) {
    const gpc = globalThis.navigator?.globalPrivacyControl === true; // some extensions set it without sending Sec-GPC
    const about = JSON.stringify({pixel_version: VERSION, shop, consent, gpc}).slice(0, -1);
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

  /** Retry until the collector accepts or finally rejects it; always with the identical body, so that it counts once. */
  async function send(body, key, attempt = 0, since = withdrawals) {
    if (!mayCollect() || since !== withdrawals) return; // consent was withdrawn in between, even if granted again
    const status = await post(body, since);
    if (status !== null && status !== 408 && status !== 429 && status < 500) return forget(key, body);
    if (attempt < RETRY_AFTER_MS.length) setTimeout(() => send(body, key, attempt + 1, since), RETRY_AFTER_MS[attempt]);
  }

  /** The response status; null if there was none. The type text/plain needs no preflight. */
  async function post(body, since) {
    const request = {method: "POST", credentials: "omit", headers: {"Content-Type": "text/plain"}, body};
    try {
      return (await fetch(url, {...request, keepalive: true})).status;
    } catch {
      // A network error, or the browser's limit on the total size of keepalive requests.
    }
    if (!mayCollect() || since !== withdrawals) return null;
    try {
      return (await fetch(url, request)).status;
    } catch {
      return null;
    }
  }

  // The outbox: the next page sends what was not acknowledged before this page closed.

  async function keep(key, body) {
    if (!keptHere.includes(key)) keptHere.push(key);
    if (keptHere.length > MAX_KEPT) forget(keptHere.shift());
    try {
      await browser.localStorage.setItem(key, body);
    } catch {
      // Storage is full or blocked: events are sent from memory only.
    }
  }

  /** Remove a sent batch, unless its page has added events since. */
  async function forget(key, sent = null) {
    try {
      if (sent !== null && (await browser.localStorage.getItem(key)) !== sent) return;
      await browser.localStorage.removeItem(key);
    } catch {
      // It will expire.
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
    // This page's own keys too: storage that changes while its keys are listed may hide one.
    for (const key of new Set([...keptHere.splice(0), ...(await keptKeys())])) await forget(key);
  }

  customerPrivacy?.subscribe("visitorConsentCollected", (event) => {
    if (event.customerPrivacy.analyticsProcessingAllowed) flush(); // collected under the previous consent
    const could = mayCollect();
    consent = event.customerPrivacy;
    if (!mayCollect()) {
      withdrawals += 1;
      forgetAll();
    } else if (!could) sendKept();
  });
  // Standard and custom events only: DOM events record typed input.
  analytics.subscribe("all_standard_events", take);
  analytics.subscribe("all_custom_events", take);
  if (consent.analyticsProcessingAllowed === false) forgetAll();
  else sendKept();
}
