/**
 * Imitates Shopify's pixel manager: window.Shopify, and the custom pixel in a sandboxed iframe of opaque origin.
 *
 * Reads what the page publishes, writes events in Shopify's shapes to the pixel. Contains no Shopify code.
 */
{
  const config = JSON.parse(document.getElementById("config").textContent);
  const WAITING = "demo:waiting"; // events not yet received by the sandbox; the next page delivers them
  const REFUSED = "demo:refused";
  const frame = document.createElement("iframe");
  let ready = false;

  const allowed = () => localStorage.getItem(REFUSED) === null;
  const consent = () => ({
    analyticsProcessingAllowed: allowed(),
    marketingAllowed: allowed(),
    preferencesProcessingAllowed: allowed(),
    saleOfDataAllowed: allowed(),
  });

  const waiting = () => JSON.parse(sessionStorage.getItem(WAITING) ?? "[]");
  const wait = (messages) => sessionStorage.setItem(WAITING, JSON.stringify(messages));
  const send = (message) => frame.contentWindow.postMessage(message, "*"); // an opaque origin has no name

  /** A click publishes and leaves the page at once; events the sandbox missed are delivered on the next page. */
  function deliver(channel, event) {
    const message = {channel, event};
    wait([...waiting(), message]);
    if (ready) send(message);
  }

  const random = (bytes) =>
    Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  function clientId() {
    const known = localStorage.getItem("demo:client");
    if (known) return known;
    const made = random(16);
    localStorage.setItem("demo:client", made);
    return made;
  }

  function nextNumber() {
    const number = Number(localStorage.getItem("demo:seq")) + 1;
    localStorage.setItem("demo:seq", number);
    return number;
  }

  function context() {
    const {characterSet, referrer, title} = document;
    const {hash, host, hostname, href, origin, pathname, port, protocol, search} = window.location;
    const location = {hash, host, hostname, href, origin, pathname, port, protocol, search};
    const {cookieEnabled, language, languages, userAgent} = navigator;
    const {innerHeight, innerWidth, outerHeight, outerWidth, pageXOffset, pageYOffset, screenX, screenY, scrollX, scrollY} = window;
    return {
      document: {characterSet, location, referrer, title},
      navigator: {cookieEnabled, language, languages: [...languages], userAgent},
      window: {
        innerHeight, innerWidth, location, origin, outerHeight, outerWidth, pageXOffset, pageYOffset,
        screen: {height: screen.height, width: screen.width}, screenX, screenY, scrollX, scrollY,
      },
    };
  }

  function publish(type, name, data) {
    deliver(`all_${type}_events`, {
      id: `sh-${random(16)}`,
      clientId: clientId(),
      name,
      seq: nextNumber(),
      timestamp: new Date().toISOString(),
      type,
      context: context(),
      ...data,
    });
  }

  window.Shopify = {
    shop: config.shop,
    routes: {root: "/"},
    analytics: {publish: (name, customData) => publish("custom", name, {customData})},
    customerPrivacy: {
      analyticsProcessingAllowed: allowed,
      marketingAllowed: allowed,
      preferencesProcessingAllowed: allowed,
      saleOfDataAllowed: allowed,
    },
  };

  /** The manager's interface for the demo's pages: Shopify's standard events, and the shopper's consent. */
  window.demo = {
    config,
    publishStandard: (name, data = {}) => publish("standard", name, {data}),
    allowed,
    allow(may) {
      if (may) localStorage.removeItem(REFUSED);
      else localStorage.setItem(REFUSED, "1");
      send({channel: "visitorConsentCollected", event: {customerPrivacy: consent()}});
    },
  };

  addEventListener("message", ({source, data}) => {
    if (source !== frame.contentWindow) return;
    if (data.ready) {
      ready = true;
      for (const message of waiting()) send(message);
    } else if (data.received) {
      wait(waiting().filter(({event}) => event.id !== data.received));
    } else if (data.storage) {
      const value = data.storage === "length" ? localStorage.length : localStorage[data.storage](...data.args);
      send({question: data.question, value: value ?? null});
    }
  });

  const init = {data: {shop: {myshopifyDomain: config.shop}}, customerPrivacy: consent()};
  const script = config.sandbox.replace("INIT", () => JSON.stringify(init)).replaceAll("</", "<\\/");
  frame.sandbox = "allow-scripts";
  frame.hidden = true;
  frame.title = "Web pixel";
  frame.srcdoc = `<script>${script}<\/script>`;
  document.body.append(frame);
}
