// Two anonymous answers, a vote, the next two.
const voter = voterName();
let shown = null, since = 0, busy = false, state = null, trouble = null;

const dress = () => {
  if (state) $("progress").textContent = say("progress", state);
  $("trouble").hidden = trouble === null;
  if (trouble) $("reason").textContent = trouble.key === "renewed" ? say("renewed") : say("trouble", { reason: trouble.reason || say("offline") });
  $("again").hidden = !trouble || trouble.key === "renewed";
  if (!shown) return;
  ["left", "right"].forEach((side, i) => {
    const text = shown.answers[i], place = $("answer-" + side);
    place.textContent = text.trim() ? text : say("empty");
    place.classList.toggle("empty", !text.trim());
  });
};
const send = async (path, body) => {
  const response = await fetch(path + location.search, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ voter, ...body }) });
  return { status: response.status, body: await response.json() };
};
const next = async () => {
  const found = await send("/api/pair", {});
  state = { voted: found.body.voted, left: found.body.left };
  shown = found.body.done ? null : found.body;
  $("ballot").hidden = found.body.done;
  $("done").hidden = !found.body.done;
  if (shown) { $("prompt").textContent = shown.prompt; since = performance.now(); scrollTo(0, 0); }
  dress();
};
// A vote is sent until it is kept; only then the next pair comes.
const attempt = async (work) => {
  if (busy) return;
  busy = true;
  document.querySelectorAll(".votes button").forEach((one) => { one.disabled = true; });
  try {
    trouble = null;
    await work();
  } catch {
    trouble = { reason: "" };
  } finally {
    busy = false;
    document.querySelectorAll(".votes button").forEach((one) => { one.disabled = false; });
    dress();
  }
};
const vote = (choice) => shown && attempt(async () => {
  const seconds = Math.min(86400, Math.round((performance.now() - since) / 100) / 10);
  const found = await send("/api/vote", { token: shown.token, choice, seconds });
  if (found.status === 200 || found.status === 409) await next();
  if (found.status === 409) trouble = { key: "renewed" };
  else if (found.status !== 200) trouble = { reason: found.body.error || String(found.status) };
});

document.querySelectorAll("[data-choice]").forEach((one) => one.addEventListener("click", () => vote(one.dataset.choice)));
document.addEventListener("keydown", (event) => {
  const choice = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "tie", ArrowDown: "bad" }[event.key];
  if (!choice || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  vote(choice);
});
$("again").addEventListener("click", () => attempt(next));
dressed.addEventListener("language", dress);
speak(root.lang);
attempt(next).then(() => { root.dataset.ready = "yes"; });
