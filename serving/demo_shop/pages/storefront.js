/**
 * Does what a theme and Shopify's scripts do: standard events, prices, the cart, consent.
 *
 * Reads the page's data and the shopper's actions, publishes standard events in Shopify's shapes.
 */
{
  const {config, publishStandard, allowed, allow} = window.demo;
  const money = (amount, currencyCode) => ({amount: Math.round(amount * 100) / 100, currencyCode});

  const variantOf = (product) => ({
    id: product.variant_id,
    image: product.image && {src: product.image},
    price: money(product.amount, product.currency),
    product: {
      id: product.product_id,
      title: product.title,
      type: product.type,
      untranslatedTitle: product.title,
      url: `/products/${product.handle}`,
      vendor: product.vendor,
    },
    sku: null,
    title: "Default Title",
    untranslatedTitle: "Default Title",
  });

  /** Shopify's cart lines have no properties; only checkout lines do. */
  const cartLine = ({product, quantity}) => ({
    cost: {totalAmount: money(product.amount * quantity, product.currency)},
    merchandise: variantOf(product),
    quantity,
  });

  const totalOf = ({lines, currency}) =>
    money(lines.reduce((sum, {product, quantity}) => sum + product.amount * quantity, 0), currency);

  const cartOf = (cart) => ({
    attributes: [],
    cost: {totalAmount: totalOf(cart)},
    id: cart.token,
    lines: cart.lines.map(cartLine),
    totalQuantity: cart.lines.reduce((sum, {quantity}) => sum + quantity, 0),
  });

  const checkoutOf = (cart) => ({
    attributes: [],
    billingAddress: null,
    buyerAcceptsEmailMarketing: false,
    buyerAcceptsSmsMarketing: false,
    currencyCode: cart.currency,
    delivery: {selectedDeliveryOptions: []},
    discountApplications: [],
    discountsAmount: money(0, cart.currency),
    email: null,
    lineItems: cart.lines.map(({product, quantity, properties}, index) => ({
      discountAllocations: [],
      finalLinePrice: money(product.amount * quantity, product.currency),
      id: `${product.variant_id}${index + 1}`,
      properties: Object.entries(properties).map(([key, value]) => ({key, value})),
      quantity,
      sellingPlanAllocation: null,
      title: product.title,
      variant: variantOf(product),
    })),
    localization: {
      country: {isoCode: "US"},
      language: {isoCode: document.documentElement.lang},
      market: {handle: "us", id: "gid://shopify/Market/1"},
    },
    order: {customer: null, id: cart.order_id && `gid://shopify/OrderIdentity/${cart.order_id}`},
    phone: null,
    shippingAddress: null,
    shippingLine: {price: money(0, cart.currency)},
    smsMarketingPhone: null,
    subtotalPrice: totalOf(cart),
    token: cart.checkout,
    totalPrice: totalOf(cart),
    totalTax: money(0, cart.currency),
    transactions: cart.order_id
      ? [{amount: totalOf(cart), gateway: "bogus", paymentMethod: {name: "Demo", type: "manualPayment"}}]
      : [],
  });

  /** Run once per tab, even if the page is reloaded. */
  function once(key, act) {
    if (sessionStorage.getItem(key)) return;
    sessionStorage.setItem(key, "1");
    act();
  }

  publishStandard("page_viewed");
  if (config.product) publishStandard("product_viewed", {productVariant: variantOf(config.product)});
  for (const line of config.added) publishStandard("product_added_to_cart", {cartLine: cartLine(line)});
  if (config.viewed_cart) publishStandard("cart_viewed", {cart: cartOf(config.viewed_cart)});
  if (config.checkout) {
    const {checkout} = config;
    once(`demo:started:${checkout.checkout}`, () => publishStandard("checkout_started", {checkout: checkoutOf(checkout)}));
  }
  if (config.bought) {
    const {bought} = config;
    once(`demo:completed:${bought.checkout}`, () => publishStandard("checkout_completed", {checkout: checkoutOf(bought)}));
  }

  /** The image of a recommended card: the drawn placeholder of the product it links to. */
  class DrawnPicture extends HTMLElement {
    connectedCallback() {
      const {pathname} = this.closest("a");
      const src = pathname.replace("products", "pictures");
      this.replaceWith(Object.assign(new Image(400, 400), {className: "tile", alt: "", src}));
    }
  }
  customElements.define("drawn-picture", DrawnPicture);

  for (const price of document.querySelectorAll("data.price")) {
    const style = {style: "currency", currency: price.dataset.currency};
    price.textContent = new Intl.NumberFormat(document.documentElement.lang, style).format(price.value);
  }

  document.querySelector("[data-add]")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = document.querySelector("[data-added]");
    const answer = await fetch("/cart/add.js", {method: "POST", body: new URLSearchParams(new FormData(event.target))});
    const line = await answer.json();
    if (!answer.ok) {
      status.textContent = line.message;
      return;
    }
    publishStandard("product_added_to_cart", {cartLine: cartLine(line)});
    document.querySelector("[data-cart-count]").textContent = line.cart_quantity;
    status.textContent = `${line.quantity} × ${line.product.title} is in your cart.`;
  });

  for (const form of document.querySelectorAll("[data-remove]")) {
    form.addEventListener("submit", () => {
      const line = config.viewed_cart.lines[form.dataset.remove];
      publishStandard("product_removed_from_cart", {cartLine: cartLine(line)});
    });
  }

  const consent = document.querySelector("[data-consent]");
  const show = () => {
    consent.setAttribute("aria-pressed", allowed());
    consent.textContent = allowed() ? "Tracking allowed" : "Tracking refused";
  };
  consent.addEventListener("click", () => {
    allow(!allowed());
    show();
  });
  show();
}
