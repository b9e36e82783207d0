// What every page does: its texts in two languages, light or dark, and what this browser remembers.
const root = document.documentElement;
const $ = (id) => document.getElementById(id);
const texts = JSON.parse($("texts").textContent);
const filled = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
const say = (key, values = {}) => filled(texts[key][root.lang], values);

// A browser may forbid to remember; then a page works all the same, until it is closed.
const kept = {
  get(name) { try { return localStorage.getItem("kollama2-" + name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem("kollama2-" + name, value); return true; } catch { return false; } },
  delete(name) { try { localStorage.removeItem("kollama2-" + name); } catch { /* nothing was kept */ } },
  names(start) {
    try { return Object.keys(localStorage).filter((one) => one.startsWith("kollama2-" + start)).map((one) => one.slice(9)); } catch { return []; }
  },
};
const random = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((one) => one.toString(16).padStart(2, "0")).join("");
const voterName = () => {
  const voter = kept.get("voter") || random(12);
  kept.set("voter", voter);
  return voter;
};

// Whoever shows texts that are no part of the page's HTML shows them anew when this is told.
const dressed = new EventTarget();
const speak = (language) => {
  root.lang = language;
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", say(one.dataset.label));
  for (const one of document.querySelectorAll("[data-hint]")) one.placeholder = say(one.dataset.hint);
  dressed.dispatchEvent(new Event("language"));
};

$("language").addEventListener("click", () => {
  speak(root.lang === "ko" ? "en" : "ko");
  kept.set("lang", root.lang);
});
$("theme").addEventListener("click", () => {
  const dark = root.style.colorScheme ? root.style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "light" : "dark";
  kept.set("theme", root.style.colorScheme);
});

// Elements are made of texts, never of HTML: whatever a model or a record says is shown, not run.
const make = (tag, attributes = {}, ...parts) => {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...parts);
  return one;
};
const both = (key, values = {}) => {
  const found = document.createDocumentFragment();
  for (const language of ["en", "ko"]) found.append(make("span", { class: "t", lang: language }, filled(texts[key][language], values)));
  return found;
};
const button = (key, act, more = {}) => {
  const one = make("button", { type: "button", ...more }, both(key));
  one.addEventListener("click", act);
  return one;
};
