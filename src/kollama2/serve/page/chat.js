// The chat: what is shown, and what its buttons do.
const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];
let talk = newTalk(), writing = null, since = 0;

const tell = (...parts) => $("status").replaceChildren(...parts);
const complain = (told, ...more) => {
  $("trouble").hidden = !told;
  $("trouble").replaceChildren(...(told ? [both(told.key, told.values), ...more] : []));
};
const save = () => { if (!keep(talk)) complain({ key: "history.full", values: {} }); };

// The settings are those of the form; a chat remembers them.
const settings = () => {
  const found = { system: $("system").value.trim() };
  for (const name of NUMBERS) found[name] = $(name).value === "" ? undefined : Number($(name).value);
  return found;
};
const setTo = (found) => {
  $("system").value = found.system || "";
  for (const name of NUMBERS) $(name).value = found[name] ?? "";
};
const chosen = () => [$("model").value, $("other").value].filter((one, slot) => slot === 0 || (one && one !== $("model").value));

const hidden = (turn) => turn.models.length > 1 && !turn.seen;
const valid = () => {
  if (!$("settings").checkValidity()) showSide(true);  // what is wrong has to be seen
  return $("settings").reportValidity();
};
const isWhole = (turn) => turn.answers.length === turn.models.length && turn.answers.every((one) => one.text.trim() && !one.trouble);
const nameOf = (turn, slot) => (hidden(turn) ? both("answer", { number: turn.sides.indexOf(slot) + 1 }) : turn.models[slot]);

// Nothing that could give a hidden model away, such as its speed.
const figures = (turn, answer) => {
  const found = [];
  const add = (part) => found.push(...(found.length ? [" · "] : []), part);
  if (answer.tokens != null && !hidden(turn)) add(both("figures", { tokens: answer.tokens, seconds: answer.seconds.toFixed(1) }));
  if ("reason." + answer.reason in texts) add(both("reason." + answer.reason));
  return found;
};
// The card of an answer. What is still being written goes into the text node that is returned.
const card = (turn, slot) => {
  const answer = turn.answers[slot], text = document.createTextNode(answer.text);
  const place = make("p", { class: "text", dir: "auto" }, text);
  const notes = make("p", { class: "note" });
  const whole = make("section", { class: "card" }, make("h2", {}, nameOf(turn, slot)), place, notes);
  const finish = () => {
    if (!answer.text.trim() && !answer.trouble) {
      place.classList.add("empty");
      place.replaceChildren(both("empty"));
    }
    notes.replaceChildren(...figures(turn, answer));
    if (answer.trouble) whole.append(make("p", { class: "bad", role: "alert" }, both(answer.trouble.key, answer.trouble.values)));
  };
  return { whole, text, finish };
};
const show = (turn) => {
  const cards = turn.answers.map((_, slot) => card(turn, slot));
  const asked = make("p", { class: "text", dir: "auto" }, turn.text);
  const answers = make("div", { class: cards.length > 1 ? "answers" : "answers alone" }, ...turn.sides.map((slot) => cards[slot].whole));
  const mine = make("section", { class: "card mine" }, make("h2", {}, both("you")), asked);
  const shown = make("article", { class: "turn" }, mine, answers, make("div", { class: "after" }));
  return { shown, cards };
};
// Below a turn stands its vote; below the last one also what can be done with it.
const finish = (turn, shown) => {
  const after = shown.querySelector(".after"), last = turn === talk.turns.at(-1);
  after.replaceChildren();
  if (turn.choice) after.append(make("p", { class: "note" }, both("voted", { choice: "" }), both(turn.choice)));
  if (!last || writing) return;
  if (hidden(turn) && isWhole(turn)) {
    const group = make("div", { class: "votes", role: "group", "data-label": "vote", "aria-label": say("vote") });
    for (const choice of ["left", "tie", "bad", "right"]) {
      group.append(button(choice, () => vote(turn, choice), { "data-choice": choice }));
    }
    after.append(make("p", { class: "note" }, both("vote")), group);
  }
  after.append(button("again", () => write(turn), { class: "small", id: "again" }));
};
const vote = (turn, choice) => {
  if (!keepVote(talk, turn, choice, (performance.now() - since) / 1000)) complain({ key: "history.full", values: {} });
  // Who is seen now was asked before under the same cover.
  turn.choice = choice;
  for (const one of talk.turns) one.seen = true;
  save();
  open(talk);
  list();
  tell(both("status.voted"));
  $("message").focus();
};

// On a narrow screen settings and history are shown on demand.
const showSide = (shown) => {
  $("side").classList.toggle("open", shown);
  $("menu").setAttribute("aria-expanded", String(shown));
};
const atEnd = () => root.scrollHeight - root.clientHeight - root.scrollTop < 120;
const toEnd = () => { root.scrollTop = root.scrollHeight; };
const busy = (controller) => {
  const held = document.activeElement;
  writing = controller;
  $("log").setAttribute("aria-busy", String(Boolean(controller)));
  $("send").hidden = Boolean(controller);
  $("stop").hidden = !controller;
  if (controller && (held === $("send") || held.id === "again")) $("stop").focus();
  if (!controller && held === $("stop")) $("message").focus();
};
// Has the models of a turn answer it; what it was answered before is gone.
const write = async (turn) => {
  if (writing || !valid()) return;
  const mine = talk, controller = new AbortController();
  mine.settings = settings();
  turn.answers = turn.models.map(() => ({ text: "" }));
  cover(turn);
  const { shown, cards } = show(turn), old = $("log").children[mine.turns.indexOf(turn)];
  busy(controller);
  if (old) old.replaceWith(shown);
  else $("log").append(shown);
  // The turn before is no longer the last.
  if (shown.previousElementSibling) finish(mine.turns.at(-2), shown.previousElementSibling);
  dress();
  complain(null);
  tell(both("status.writing"));
  save();
  list();
  toEnd();
  await Promise.all(turn.answers.map((answer, slot) => answered(mine, turn, slot, controller.signal, cards[slot])));
  if (writing === controller) busy(null);
  if (!keep(mine)) complain({ key: "history.full", values: {} });
  since = performance.now();
  if (mine !== talk) return;
  const follow = atEnd();
  finish(turn, shown);
  if (turn.answers.some((one) => one.trouble)) tell(both("status.failed"));
  else tell(both(turn.answers.some((one) => one.reason === "stopped") ? "status.stopped" : "status.done"));
  if (follow) toEnd();
};
const answered = async (mine, turn, slot, signal, { text, finish: done }) => {
  const answer = turn.answers[slot], began = performance.now(), { system, ...sampling } = mine.settings;
  const piece = (said) => {
    const follow = atEnd();
    answer.text += said;
    text.appendData(said);
    if (follow) toEnd();
  };
  try {
    Object.assign(answer, await ask({ model: turn.models[slot], messages: messages(mine, turn, slot), ...sampling }, signal, piece));
  } catch (error) {
    if (error.name === "AbortError") answer.reason = "stopped";
    else if (error instanceof Trouble) answer.trouble = error.told;
    else throw error;
  }
  answer.seconds = Math.round((performance.now() - began) / 100) / 10;
  done();
};
const send = () => {
  const text = $("message").value;
  if (!text.trim() || writing || !valid()) return;
  const turn = newTurn(text, chosen(), talk.turns.at(-1));
  talk.turns.push(turn);
  $("message").value = "";
  write(turn);
};

// Chats that were before.
const dress = () => {
  $("title").replaceChildren(titleOf(talk));
  document.title = `${titleOf(talk)} – kollama2`;
  $("hint").hidden = talk.turns.length > 0;
  $("export").hidden = !talk.turns.length;
};
const open = (found) => {
  talk = found;
  complain(null);
  tell();
  $("log").replaceChildren(...talk.turns.map((turn) => {
    const { shown, cards } = show(turn);
    cards.forEach((one) => one.finish());
    finish(turn, shown);
    return shown;
  }));
  dress();
};
const switchTo = (found) => {
  if (writing) {
    writing.abort();
    busy(null);
  }
  open(found);
  if (found.turns.length) {
    setTo(found.settings);
    const [model, other] = found.turns.at(-1).models;
    if ([...$("model").options].some((one) => one.value === model)) $("model").value = model;
    offerOthers(other || "");
  }
  list();
  showSide(false);
  $("message").focus();
};
const remove = (found) => {
  forget(found);
  if (found.id === talk.id) switchTo(newTalk());
  list();
  $("new").focus();
};
const list = () => {
  const found = talks();
  $("history").replaceChildren(...found.map((one) => {
    const title = titleOf(one), away = button("history.delete", () => remove(one));
    away.setAttribute("aria-label", say("history.delete_one", { title }));
    const opener = make("button", { type: "button", title: new Date(one.time).toLocaleString(root.lang) }, title);
    if (one.id === talk.id) opener.setAttribute("aria-current", "true");
    opener.addEventListener("click", () => one.id !== talk.id && switchTo(one));
    return make("li", {}, opener, away);
  }));
  $("forget").hidden = !found.length;
  $("history-none").hidden = found.length > 0;
  const count = votes().length;
  $("votes").hidden = !count;
  $("votes-count").replaceChildren(both("votes.count", { count }));
};

const offerOthers = (other) => {
  const names = [...$("model").options].map((one) => one.value).filter((one) => one !== $("model").value);
  const none = make("option", { value: "" }, say("nobody"));
  $("other").replaceChildren(none, ...names.map((name) => make("option", { value: name }, name)));
  $("other").value = names.includes(other) ? other : "";
  $("compare").hidden = !names.length;
};
const start = async () => {
  complain(null);
  try {
    const names = await modelNames(), before = kept.get("model");
    $("model").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    if (names.includes(before)) $("model").value = before;
    offerOthers("");
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    complain(error.told, " ", button("reload", start, { class: "small" }));
  }
  root.dataset.ready = "yes";
};

$("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("message").addEventListener("keydown", (event) => {
  // While a syllable is being composed, Enter is the input method's; Safari says so by its code.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.isComposing) writing?.abort(); });
$("stop").addEventListener("click", () => writing?.abort());
$("new").addEventListener("click", () => switchTo(newTalk()));
$("menu").addEventListener("click", () => showSide(!$("side").classList.contains("open")));
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("settings").addEventListener("change", () => kept.set("settings", JSON.stringify(settings())));
$("model").addEventListener("change", () => { kept.set("model", $("model").value); offerOthers($("other").value); });
$("forget").addEventListener("click", () => {
  if (!confirm(say("history.sure"))) return;
  talks().forEach(forget);
  switchTo(newTalk());
});
$("markdown").addEventListener("click", () => download(`${talk.id}.md`, "text/markdown", markdown(talk)));
$("json").addEventListener("click", () => download(`${talk.id}.json`, "application/json", JSON.stringify(talk, null, 1) + "\n"));
$("votes-download").addEventListener("click", () => {
  download("votes.jsonl", "application/jsonl", votes().map((one) => JSON.stringify(one) + "\n").join(""));
});
$("votes-delete").addEventListener("click", () => {
  if (!confirm(say("votes.sure"))) return;
  kept.names("vote-").forEach(kept.delete);
  list();
});
addEventListener("pagehide", () => writing && keep(talk));
addEventListener("storage", list);
dressed.addEventListener("language", () => { dress(); list(); offerOthers($("other").value); });

try { setTo(JSON.parse(kept.get("settings")) || {}); } catch { /* somebody else wrote it */ }
speak(root.lang);
start();
