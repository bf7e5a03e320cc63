/**
 * Removes personal data from an event before it leaves the browser, by the rules of ingestion/personal_data.json.
 *
 * Data that is not sent cannot leak. The collector repeats this with the same rules (ingestion/collector/personal_data.py)
 * and is authoritative, because it also cleans events of old pixels.
 */
function personalDataRemover(rules) {
  const MAX_LAYERS = 5; // of nested encodings
  const REMOVED = "[removed]";
  const group = (...lists) => `(?:${lists.flat().join("|")})`;
  const anyOf = (...patterns) => new RegExp(`^(?:${patterns.flat().join("|")})$`);
  const of = rules.objects;
  const whose = `${group(rules.qualifiers, rules.persons)}*`;
  const suffixes = `${group(rules.suffixes)}*`;
  const PERSONAL = anyOf(
    whose + group(rules.keys) + suffixes,
    whose + group(rules.persons) + group(rules.keys_of_persons) + suffixes,
  );
  const ADDRESS = anyOf(whose + group(of.addresses), of.destinations);
  const PERSON = anyOf(whose + group(rules.persons), of.containers);
  const [PAIRS, ALERT, OF_ORDERS] = [anyOf(of.pairs), anyOf(of.alerts), anyOf(of.of_orders)];
  const [IDENTIFIER, WITHOUT_NUMBERS, PARAMETER] = [rules.identifiers, rules.without_numbers, rules.parameters].map((list) => anyOf(list));
  const compiled = (texts) => texts.map((rule) => ({...rule, find: new RegExp(rule.find, "gi")}));
  const [TEXTS, SEARCHED_TEXTS] = [compiled(rules.texts), compiled(rules.searches.texts)];
  const [SEARCHED, SEARCH_PARAMETER] = [anyOf(rules.searches.keys), anyOf(rules.searches.parameters)];
  const GREETING = new RegExp(rules.titles.find, "gi");
  const ENTITIES = {commat: "@", period: ".", plus: "+", num: "#", equals: "=", quest: "?", amp: "&", sol: "/", colon: ":"};
  const VIEWS = [
    (text) => text.replace(/&(?:#(\d{2,7})|#x([0-9a-f]{2,6})|([a-z]{2,8}));/gi, (all, decimal, hexadecimal, name) => {
      const code = decimal ? Number(decimal) : parseInt(hexadecimal, 16);
      return name ? (ENTITIES[name.toLowerCase()] ?? all) : code < 0x110000 ? String.fromCodePoint(code) : all;
    }),
    (text) => text.replace(/(?:\\u00|\\x|%u00)([0-9a-f]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16))),
    (text) => text.normalize("NFKC").replaceAll("。", ".").replace(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, ""),
    (text) => text.replaceAll(" @ ", "@"),
    (text) => (/[([{] ?at ?[)\]}]/i.test(text) ? text.replace(/ ?[([{] ?at ?[)\]}] ?/gi, "@").replace(/ ?[([{] ?dot ?[)\]}] ?/gi, ".") : text),
  ];
  const FIELD = /((["'])([\w .[\]-]{1,64})\2\s*:\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|-?\d[\d.]*)/g;

  const normalized = (key) => key.replaceAll("ß", "ss").normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "");
  const has = (names, wanted) => names.some((name) => wanted.includes(name));
  const keptWithin = (name) => (Object.hasOwn(rules.kept_within, name) ? rules.kept_within[name] : null);
  const isPersonalKey = (key) => {
    const name = normalized(key);
    return name.length <= 80 && (PERSONAL.test(name) || keptWithin(name) !== null);
  };
  const isSpecial = (key) => isPersonalKey(key) || PERSON.test(normalized(key)) || ADDRESS.test(normalized(key));

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text.replace(/%([0-7][0-9a-f])/gi, (_, code) => String.fromCharCode(parseInt(code, 16)));
    }
  }

  function parameterKind(name) {
    for (let layer = 0; layer < MAX_LAYERS; layer++) name = decoded(name);
    const parts = [...name.split(/[[\].]+/), name].filter(Boolean);
    if (parts.some((part) => isPersonalKey(part) || PARAMETER.test(normalized(part)))) return "personal";
    return parts.some((part) => SEARCH_PARAMETER.test(normalized(part))) ? "search" : null;
  }

  function hidesAnAddress(text) {
    try {
      return /[\w.+-]{1,64}@[a-z0-9.-]+\.[a-z]{2,}/i.test(atob(text.replace(/=+$/, "").replaceAll("-", "+").replaceAll("_", "/")));
    } catch {
      return false;
    }
  }

  function replaced(text, texts, hasDigits = true) {
    for (const {needs = "", digits, find, put} of texts) {
      if ((!digits || hasDigits) && text.includes(needs)) text = text.replace(find, (_, before) => before + put);
    }
    return text;
  }

  function apply(text, numbers) {
    text = text.replace(FIELD, (all, start, _, key) => (isPersonalKey(key) ? `${start}null` : all));
    const hasDigits = numbers && /\d(?:\D{0,3}\d){6}/.test(text);
    text = replaced(text, TEXTS, hasDigits);
    return text.replace(/[A-Za-z0-9+_-]{12,}={0,2}/g, (found) => (hidesAnAddress(found) ? "[e-mail]" : found));
  }

  const encoded = (text) => encodeURIComponent(text).replace(/%(?:2F|3A|5B|5D|40|24|2C|2B)/g, decodeURIComponent);

  function cleanPiece(piece, numbers, layer) {
    const cleaned = apply(piece, numbers);
    const plain = cleaned.includes("%") ? decoded(cleaned) : cleaned;
    if (plain !== cleaned) {
      const clean = cleanText(plain, numbers, layer + 1);
      if (clean !== plain) return encoded(clean);
    }
    if (!numbers || !cleaned.includes("+")) return cleaned;
    const spaced = decoded(cleaned.replaceAll("+", " ")); // in forms
    const clean = apply(spaced, numbers);
    return clean === spaced ? cleaned : (cleaned.includes("%") ? encoded(clean) : clean).replace(/ |%20/g, "+");
  }

  function cleanSearch(value) {
    const typed = decoded(value.replaceAll("+", " "));
    const clean = replaced(typed, SEARCHED_TEXTS);
    return clean === typed ? value : encoded(clean);
  }

  function cleanParameter(piece, numbers, layer) {
    const at = piece.indexOf("=");
    if (at < 0) return cleanPiece(piece, numbers, layer);
    const [name, value] = [piece.slice(0, at), piece.slice(at + 1)];
    const kind = value && parameterKind(name.slice(-200));
    const kept = kind === "personal" ? REMOVED : cleanPiece(kind === "search" ? cleanSearch(value) : value, numbers, layer);
    return `${cleanPiece(name, numbers, layer)}=${kept}`;
  }

  function cleanText(text, numbers = true, layer = 0) {
    if (layer > MAX_LAYERS) return /%[0-9a-f]{2}|&#?\w{2,8};|[\\%](?:u00|x)/i.test(text) ? REMOVED : text;
    for (const view of VIEWS) {
      const seen = view(text);
      if (seen === text) continue;
      const cleaned = cleanText(seen, numbers, layer + 1);
      if (cleaned !== seen) return cleaned;
    }
    if (!text.includes("=")) return cleanPiece(text, numbers, layer);
    return text.split(/([?&#;])/).map((piece, index) => (index % 2 ? piece : cleanParameter(piece, numbers, layer))).join("");
  }

  function cleanString(name, text, within) {
    if (/^[{[].*[}\]]$/s.test(text)) {
      try {
        const document = JSON.parse(text);
        const stripped = JSON.stringify(valueOf("", document, null));
        return stripped === JSON.stringify(document) ? text : stripped;
      } catch {
        // Not JSON.
      }
    }
    const plain = cleanText(text, !WITHOUT_NUMBERS.test(name));
    const cleaned = SEARCHED.test(name) ? replaced(plain, SEARCHED_TEXTS) : plain;
    if (name === "title" && within === "document") return cleaned.replace(GREETING, (_, before) => before + rules.titles.put);
    return cleaned !== text && IDENTIFIER.test(name) ? null : cleaned; // else all visitors with an email address as id would share one id
  }

  function only(value, kept) {
    if (Array.isArray(value)) return value.map((one) => only(one, kept));
    if (value === null || typeof value !== "object") return null;
    const members = Object.entries(value).filter(([key, inner]) => kept.includes(normalized(key)) && (inner === null || typeof inner !== "object"));
    return Object.fromEntries(members.map(([key, inner]) => [key, valueOf(normalized(key), inner, null)]));
  }

  const isOurs = (key, value) => String(key).startsWith(of.kept_pairs) && typeof value === "string" && cleanText(value) === value;

  function pairsOf(value) {
    if (value === null || typeof value !== "object") return null;
    if (!Array.isArray(value)) {
      const members = Object.entries(value).filter(([key]) => cleanText(key) === key);
      return Object.fromEntries(members.map(([key, inner]) => [key, isOurs(key, inner) ? inner : null]));
    }
    return value.map((pair) => {
      if (pair === null || typeof pair !== "object" || Array.isArray(pair)) return null;
      const part = ([name, inner]) => [name, ["key", "name"].includes(name) || isOurs(pair.key ?? pair.name, inner) ? inner : null];
      return Object.fromEntries(Object.entries(objectOf(pair, null)).map(part));
    });
  }

  function objectOf(members, within) {
    const keys = Object.keys(members);
    const names = keys.map(normalized);
    const isOrder = has(names, of.orders);
    const isSomebody = within !== null && !isOrder && keys.some((key) => isPersonalKey(key) && members[key] && members[key] !== true);
    const isField = has(names, of.field_names) && has(names, of.field_values)
      && keys.some((key, index) => of.field_names.includes(names[index]) && typeof members[key] === "string" && isSpecial(members[key]));
    return Object.fromEntries(keys.map((key, index) => {
      const [name, value] = [names[index], members[key]];
      const goes = (isOrder && OF_ORDERS.test(name)) || (isSomebody && of.beside_personal.includes(name)) || (isField && of.field_values.includes(name));
      const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
      let kept = value;
      if (value !== null && typeof value !== "boolean") {
        if (goes) kept = null;
        else if (of.pairs_or_objects.includes(name) && isObject && !has(names, of.pairs_held_by)) kept = objectOf(value, name);
        else kept = valueOf(name, value, within);
      }
      return [cleanText(key), kept];
    }));
  }

  function valueOf(name, value, within) {
    if (value === null || value === undefined || typeof value === "boolean") return value;
    const isObject = typeof value === "object";
    const short = name.length <= 80;
    const parents = keptWithin(name);
    if (short && isObject && ADDRESS.test(name)) return only(value, of.kept_of_addresses);
    if (short && (PERSONAL.test(name) || (!isObject && PERSON.test(name)))) return null;
    if (parents !== null && !parents.includes(within)) return null;
    if (short && PERSON.test(name)) return only(value, of.kept_of_persons);
    if (ALERT.test(name)) return only(value, of.kept_of_alerts);
    if (PAIRS.test(name)) return pairsOf(value);
    if (Array.isArray(value)) {
      if (value.length === 2 && typeof value[0] === "string" && isSpecial(value[0])) return [value[0], null];
      return value.map((one) => (one !== null && typeof one === "object" && !Array.isArray(one) ? objectOf(one, name) : valueOf(name, one, within)));
    }
    if (isObject) return objectOf(value, name);
    return typeof value === "string" ? cleanString(name, value, within) : value;
  }

  return (event) => objectOf(event, null);
}
