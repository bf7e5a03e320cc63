/**
 * Runs inside the imitated sandbox: the globals that Shopify documents for a custom pixel, over postMessage.
 *
 * Reads the page's events and storage values, writes the pixel's requests. The pixel's code is appended to this file.
 */
const subscribers = {};
const pending = {};
let questions = 0;
const toPage = (message) => parent.postMessage(message, "*");
const subscribe = (channel, callback) => (subscribers[channel] ??= []).push(callback);
const ask = (storage, ...args) =>
  new Promise((resolve) => {
    pending[++questions] = resolve;
    toPage({storage, args, question: questions});
  });
const analytics = {subscribe};
const customerPrivacy = {subscribe};
const browser = {
  localStorage: Object.fromEntries(
    ["getItem", "setItem", "removeItem", "key", "length"].map((method) => [method, (...args) => ask(method, ...args)]),
  ),
};
const init = INIT; // the page replaces INIT with its state at load time
const api = {analytics, browser, customerPrivacy, init};
addEventListener("message", ({data}) => {
  if (data.question) return pending[data.question](data.value);
  for (const callback of subscribers[data.channel] ?? []) callback(data.event);
  toPage({received: data.event.id});
});
addEventListener("load", () => toPage({ready: true})); // the pixel has subscribed by then
