// Asks the server how far the studies are, and shows it.
const EVERY = 2000; // milliseconds between two questions
let state = null, board = null, asked = null, seen = null;
let wanted = new URLSearchParams(location.hash.slice(1)).get("study");

class Unread extends Error {}
const question = async (path, name) => {
  const given = new URLSearchParams(location.search);
  if (name) given.set("name", name);
  const response = await fetch(`api/${path}?${given}`);
  if (!response.ok) throw new Unread((await response.json().catch(() => null))?.error || String(response.status));
  return response.json();
};

// A part of the page changes only where what it shows did: whoever reads or scrolls it keeps their place.
const marks = {};
const renew = (id, shown, draw) => {
  const mark = JSON.stringify([root.lang, shown]);
  if (marks[id] === mark) return;
  marks[id] = mark;
  $(id).replaceChildren(...draw());
};

const duration = (seconds) => {
  if (seconds == null) return "";
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (whole < 60) return both("time.s", { a: whole });
  return whole < 3600 ? both("time.m", { a: minutes, b: whole % 60 }) : both("time.h", { a: Math.floor(minutes / 60), b: minutes % 60 });
};
const who = (recipes) => (recipes.length < 3 ? recipes.join(", ") : both("recipes.more", { first: recipes[0], count: recipes.length - 1 }));
const stateOf = (name) => make("span", { class: "state " + name }, both("state." + name));
const table = (title, heads, rows) => make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": say(title) },
  make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
const head = (part, more = {}) => make("th", { scope: "col", ...more }, part);
const cell = (more, ...parts) => make("td", more, ...parts);
const fixed = (value, digits) => (value == null ? "–" : value.toFixed(digits));

const now = (stage) => {
  const figures = { done: Math.floor(stage.done), total: stage.total, unit: stage.unit || "" };
  const share = stage.total ? both("share", figures) : figures.unit;
  const line = make("div", { class: "bar" },
    make("span", {}, make("strong", {}, stage.kind), " · ", who(stage.recipes)),
    make("span", {}, share, stage.seconds ? " · " : "", duration(stage.seconds)));
  const bar = make("progress", { max: "1", "aria-label": `${stage.kind} ${stage.recipes[0]}` });
  if (stage.total) bar.value = stage.done / stage.total;
  return make("li", {}, line, bar, make("div", { class: "key" }, stage.name));
};
const failure = (stage) => make("li", {},
  make("strong", {}, stage.kind), " · ", who(stage.recipes),
  make("div", { class: "bad" }, stage.why), make("div", { class: "key" }, stage.name));

const interval = ([value, low, high], digits) => [fixed(value, digits), make("small", {}, low == null ? "" : `[${fixed(low, digits)}, ${fixed(high, digits)}]`)];
const standing = (row) => make("tr", {},
  cell({}, row.tier || "–"),
  make("th", { scope: "row" }, row.recipe, row.base ? make("small", {}, both("base")) : ""),
  cell({ class: "n" }, fixed(row.score, 4)),
  cell({ class: "n" + (row.separable ? (row.gain[0] > 0 ? " good" : " bad") : "") }, ...(row.gain ? interval(row.gain, board.in_bits ? 1 : 3) : ["–"])),
  cell({ class: "n" }, fixed(row.p_best, 2)),
  cell({ class: "n" }, ...(row.english ? interval(row.english, 1) : ["–"])),
  cell({ class: "n" }, String(row.seeds)));
const leaderboard = () => {
  const measured = state.measured;
  if (!measured) return [make("p", { class: "note" }, both("board.none"))];
  if (!board) return [make("p", { class: "note" }, both("board.wait"))];
  const facts = make("ul", { class: "facts" }, ...board.headline[root.lang].map((one) => make("li", {}, one)));
  const numbers = ["score", board.in_bits ? "saved" : "gain", "p_best", "english", "seeds"];
  const heads = [head(both("col.tier")), head(both("col.recipe")), ...numbers.map((one) => head(both("col." + one), { class: "n" }))];
  const note = make("p", { class: "note" }, both("board.note", { primary: board.primary, measured, all: state.cells.length }));
  return [facts, table("board", heads, board.rows.filter((row) => row.score != null).map(standing)), note];
};
const cells = () => {
  const unique = (what) => [...new Set(state.cells.map((one) => one[what]))];
  const seeds = unique("seed"), suites = unique("suite");
  const states = (recipe, seed) => suites.flatMap((suite) => {
    const found = state.cells.find((one) => one.recipe === recipe && one.seed === seed && one.suite === suite);
    return found ? [make("div", {}, stateOf(found.state), suites.length > 1 ? ` ${suite}` : "")] : [];
  });
  const rows = unique("recipe").map((recipe) => make("tr", {},
    make("th", { scope: "row" }, recipe), ...seeds.map((seed) => cell({}, ...states(recipe, seed)))));
  return [table("cells", [head(both("col.recipe")), ...seeds.map((seed) => head(both("seed", { seed })))], rows)];
};
const stages = () => {
  const heads = [...["stage", "recipes", "state"].map((one) => head(both("col." + one))), head(both("col.seconds"), { class: "n" })];
  const rows = state.stages.map((one) => make("tr", {},
    make("th", { scope: "row" }, one.kind, make("small", { class: "key" }, one.name)),
    cell({}, who(one.recipes)),
    cell({}, stateOf(one.state)),
    cell({ class: "n" }, one.state === "done" ? duration(one.seconds) : "")));
  return [table("stages", heads, rows)];
};
const drawn = (width) => {
  const found = charts(state.curves, [...new Set(state.cells.map((one) => one.recipe))], width);
  return found.length ? found : [make("p", { class: "note" }, both("curves.none"))];
};
const show = () => {
  if (!state) return;
  const of = (name) => state.stages.filter((one) => one.state === name), running = of("running"), failed = of("failed");
  const width = Math.min(540, $("curves").clientWidth), done = of("done").length;
  $("name").textContent = state.name;
  document.title = `${state.name} ${done}/${state.stages.length} – kollama2 watch`;
  $("about").textContent = state.about;
  const counts = { done, all: state.stages.length, running: running.length, failed: failed.length, todo: of("todo").length };
  renew("counts", counts, () => [both("counts", counts)]); // it is read out
  $("progress").max = state.stages.length;
  $("progress").value = done;
  $("seen").replaceChildren(both("seen", { time: seen }));
  renew("now", running, () => (running.length ? running.map(now) : [make("li", { class: "soft" }, both("now.none"))]));
  $("failed").hidden = !failed.length;
  renew("failures", failed, () => failed.map(failure));
  renew("curves", [width, state.curves], () => drawn(width));
  renew("board", [state.measured, board], leaderboard);
  renew("cells", state.cells, cells);
  renew("stages", state.stages.map((one) => [one.name, one.state]), stages);
};
const complain = (key, values) => {
  $("trouble").hidden = !key;
  const told = key ? say(key, values) : "";
  if ($("trouble").textContent !== told) $("trouble").textContent = told;
};
const offer = (studies) => {
  const name = studies.some((one) => one.name === wanted) ? wanted : studies[0]?.name;
  const options = studies.map((one) => make("option", { value: one.name }, one.running ? say("study.running", one) : one.name));
  const same = options.length === $("study").length && options.every((one, at) => one.value === $("study")[at].value && one.text === $("study")[at].text);
  if (!same) $("study").replaceChildren(...options);
  if (name) $("study").value = name;
  $("none").hidden = Boolean(name);
  $("shown").hidden = !name;
  return name;
};

const look = async () => {
  const name = offer(await question("studies"));
  if (!name) return;
  const found = await question("study", name);
  if (state?.name !== name) board = asked = null;
  state = found;
  seen = new Date().toLocaleTimeString(root.lang);
  show();
  // A leaderboard may take seconds; it is asked for when more is measured, and nobody waits for it.
  const version = `${name} ${state.measured}`;
  if (!state.measured || asked === version) return;
  asked = version;
  question("board", name).then((given) => {
    if (asked !== version) return; // another study is shown, or more was measured meanwhile
    board = given;
    show();
  }, () => { if (asked === version) asked = null; });
};
let turn = 0;
const watch = async () => {
  const mine = ++turn; // a question that comes later takes over
  try {
    if (!document.hidden) await look();
    complain(null);
  } catch (error) {
    complain(error instanceof Unread ? "trouble" : "offline", { reason: error.message, time: seen || "–" });
  }
  root.dataset.ready = "yes";
  if (mine === turn) setTimeout(() => mine === turn && watch(), EVERY);
};
$("study").addEventListener("change", () => {
  wanted = $("study").value;
  history.replaceState(null, "", `#${new URLSearchParams({ study: wanted })}`);
  watch();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) watch(); });
dressed.addEventListener("language", show);
speak(root.lang);
watch();
