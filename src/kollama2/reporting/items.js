// The per-item browser. Everything from a store is set as text, never as markup.
(() => {
  "use strict";
  const form = document.getElementById("picks");
  if (!form) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { recipes, tasks } = data.items;
  const list = document.getElementById("items-list");
  const more = document.getElementById("items-more");
  const count = document.getElementById("items-count");
  const PAGE = 20;
  let shown = PAGE;

  const say = (key, values = {}) =>
    data.texts["items." + key][document.documentElement.dataset.lang].replace(/{(\w+)}/g, (_, name) => values[name]);
  const make = (tag, classes, ...inside) => {
    const element = document.createElement(tag);
    if (classes) element.className = classes;
    element.append(...inside);
    return element;
  };
  const text = (tag, classes, content) => {
    const element = make(tag, classes, content);
    element.dir = "auto";
    return element;
  };
  const filters = {
    "all": () => true,
    "a-not-b": (a, b) => a === 1 && b === 0,
    "b-not-a": (a, b) => a === 0 && b === 1,
    "both": (a, b) => a === 1 && b === 1,
    "neither": (a, b) => a === 0 && b === 0,
  };

  const verdict = (right) => (right === null ? "" : right ? "✓" : "✗");
  const tone = (right) => (right === null ? "soft" : right ? "good" : "bad");
  const badge = (name, right, value) => {
    const found = make("span", "badge " + tone(right), name, " ", verdict(right));
    if (value !== null) found.append(make("small", "", " " + value));
    return found;
  };
  const rest = (item, a, b) => {
    const line = make("p", "rest");
    recipes.forEach((name, i) => { if (i !== a && i !== b && item.a[i] !== null) line.append(badge(name, item.r[i], item.v[i])); });
    return line.childNodes.length ? [make("small", "soft", say("others")), line] : [];
  };
  const choices = (item, a, b) => {
    const box = make("ol", "choices");
    item.c.forEach((choice, i) => {
      const line = make("li", i === item.ref ? "gold" : "", text("span", "", choice));
      if (i === item.ref) line.append(make("small", "mark", say("gold")));
      [[a, "A"], [b, "B"]].forEach(([at, letter]) => {
        if (item.a[at] === i) line.append(make("span", "letter " + tone(item.r[at]), letter));
      });
      box.append(line);
    });
    return box;
  };
  const named = (fault) => (data.texts["measure." + fault] || {})[document.documentElement.dataset.lang] || fault;
  const answer = (title, content, right, faults = []) => {
    const body = content === null ? make("p", "soft", say("missing"))
      : String(content).trim() ? text("p", "", String(content)) : make("p", "soft", say("empty"));
    const wrong = faults.length ? [make("small", "bad", say("faults"), ": ", faults.map(named).join(", "))] : [];
    return make("div", "answer" + (title.gold ? " gold" : ""), make("h4", tone(right), title.name, " ", verdict(right)), body, ...wrong);
  };
  const card = (item, a, b) => {
    const box = make("article", "item", text("p", "prompt", item.q));
    if (item.c) {
      const two = make("p", "two", badge("A " + recipes[a], item.r[a], item.v[a]), badge("B " + recipes[b], item.r[b], item.v[b]));
      box.append(choices(item, a, b), two);
    } else {
      const grid = make("div", "answers");
      if (item.ref !== undefined) grid.append(answer({ name: say("reference"), gold: true }, item.ref, null));
      [[a, "A "], [b, "B "]].forEach(([at, letter]) => grid.append(answer({ name: letter + recipes[at] }, item.a[at], item.r[at], item.f && item.f[at])));
      box.append(grid);
    }
    box.append(...rest(item, a, b), make("small", "key soft", item.id));
    return box;
  };
  const words = (item) => [item.q, item.id, ...(item.c || []), ...item.a].join("\n").toLowerCase().normalize("NFC");

  const render = () => {
    const task = tasks[form.task.value], a = +form.a.value, b = +form.b.value;
    const wanted = form.search.value.toLowerCase().normalize("NFC").trim();
    const keep = filters[form.filter.value] || ((x, y, item) => item.a[a] !== item.a[b]);
    const found = task.items.filter((item) => keep(item.r[a], item.r[b], item) && (!wanted || words(item).includes(wanted)));
    count.textContent = say("count", { found: found.length, shown: task.items.length, total: task.total });
    list.replaceChildren(...found.slice(0, shown).map((item) => card(item, a, b)));
    more.hidden = found.length <= shown;
  };
  const name = () => form.querySelectorAll("[data-option]").forEach((one) => {
    one.textContent = say(one.dataset.option.slice(6), { a: "A", b: "B" });
  });

  // A link may say what to show: #task=facts-ko&a=full&b=lora&show=a-not-b
  const hash = new URLSearchParams(location.hash.slice(1));
  const choose = (select, at) => { if (at >= 0) select.value = at; };
  if (hash.has("task")) choose(form.task, tasks.findIndex((one) => one.task === hash.get("task")));
  if (hash.has("a")) choose(form.a, recipes.indexOf(hash.get("a")));
  if (hash.has("b")) choose(form.b, recipes.indexOf(hash.get("b")));
  if (filters[hash.get("show")] || hash.get("show") === "differ") form.filter.value = hash.get("show");

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { shown = PAGE; render(); });
  more.addEventListener("click", () => { shown += PAGE; render(); });
  new MutationObserver(() => { name(); render(); }).observe(document.documentElement, { attributeFilter: ["data-lang"] });
  name();
  render();
})();
