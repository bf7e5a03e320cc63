/**
 * The inside of the imitated sandbox: what Shopify documents of a custom pixel's globals, by postMessage to the page.
 *
 * Events of the page and the values of its storage flow in; the pixel's wishes flow out. The pixel's text follows it.
 */
const subscribers = {};
const asked = {};
let questions = 0;
const toPage = (message) => parent.postMessage(message, "*");
const subscribe = (channel, callback) => (subscribers[channel] ??= []).push(callback);
const ask = (storage, ...args) =>
  new Promise((resolve) => {
    asked[++questions] = resolve;
    toPage({storage, args, question: questions});
  });
const analytics = {subscribe};
const customerPrivacy = {subscribe};
const browser = {
  localStorage: Object.fromEntries(
    ["getItem", "setItem", "removeItem", "key", "length"].map((method) => [method, (...args) => ask(method, ...args)]),
  ),
};
const init = INIT; // the page's own moment: the page writes it here
const api = {analytics, browser, customerPrivacy, init};
addEventListener("message", ({data}) => {
  if (data.question) return asked[data.question](data.value);
  for (const callback of subscribers[data.channel] ?? []) callback(data.event);
  toPage({taken: data.event.id});
});
addEventListener("load", () => toPage({ready: true})); // the pixel has subscribed by then
