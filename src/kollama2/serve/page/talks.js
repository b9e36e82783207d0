// Chats and votes, which this browser alone keeps, and the files that are made of them.
//
// A turn is what was asked, the models that were, their answers in the same order, and in which
// order these are shown: of two models nobody sees which is which before the vote.
const newTalk = () => ({ id: random(8), time: new Date().toISOString(), settings: {}, turns: [] });
const sided = (count) => {
  const sides = [...Array(count).keys()];
  return crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? sides.reverse() : sides;
};
const newTurn = (text, models, before) => {
  // While nobody has voted, the first answer goes on as the first.
  const goesOn = before && !before.seen && before.models.join("\n") === models.join("\n");
  return { text, models, sides: goesOn ? before.sides : sided(models.length), answers: [], choice: null, seen: false };
};
// Hides the names of a turn that is answered anew.
const cover = (turn) => {
  if (turn.seen) Object.assign(turn, { sides: sided(turn.models.length), choice: null, seen: false });
};
const titleOf = (talk) => talk.turns[0]?.text.trim().replace(/\s+/g, " ").slice(0, 60) || say("title");

const gone = new Set(); // an answer may still be coming in a chat that is deleted
const keep = (talk) => gone.has(talk.id) || kept.set("talk-" + talk.id, JSON.stringify(talk));
const forget = (talk) => {
  gone.add(talk.id);
  kept.delete("talk-" + talk.id);
};
const all = (start) => kept.names(start).flatMap((name) => {
  try { return [JSON.parse(kept.get(name))]; } catch { return []; }
}).sort((one, other) => (one.time < other.time ? 1 : -1));
const talks = () => all("talk-").filter((one) => Array.isArray(one.turns));

// What a model reads before it answers a turn: its own answers, none that failed or was blocked.
const messages = (talk, turn, slot) => {
  const found = talk.settings.system ? [{ role: "system", content: talk.settings.system }] : [];
  for (const one of talk.turns.slice(0, talk.turns.indexOf(turn))) {
    const answer = one.answers[slot] || one.answers[0];
    if (!answer?.text.trim() || answer.reason === "content_filter") continue;
    found.push({ role: "user", content: one.text }, { role: "assistant", content: answer.text });
  }
  return [...found, { role: "user", content: turn.text }];
};

// A vote in the form in which the arena keeps its own, where models stand for evaluations.
const votes = () => all("vote-").reverse();
const keepVote = (talk, turn, choice, seconds) => {
  const [left, right] = turn.sides.map((slot) => turn.models[slot]);
  const vote = {
    vote: random(9), time: new Date().toISOString().replace(/\.\d+Z$/, "+00:00"), voter: voterName(),
    task: "chat", item: `${talk.id}/${talk.turns.indexOf(turn)}`, left, right, choice,
    seconds: Math.min(86400, Math.round(seconds * 10) / 10),
  };
  return kept.set("vote-" + vote.vote, JSON.stringify(vote));
};

const markdown = (talk) => {
  const { system, ...numbers } = talk.settings;
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined).map(([name, value]) => `${name} ${value}`);
  const parts = [`# ${titleOf(talk)}`, [talk.time, ...given].join(" · ")];
  if (system) parts.push(`## ${say("system")}`, system);
  for (const turn of talk.turns) {
    parts.push(`## ${say("you")}`, turn.text);
    for (const slot of turn.sides) {
      const answer = turn.answers[slot];
      if (answer) parts.push(`## ${turn.models[slot]}`, answer.text.trim() || say("empty"));
    }
    if (turn.choice) parts.push(`*${say("voted", { choice: say(turn.choice) })}*`);
  }
  return parts.join("\n\n") + "\n";
};
const download = (name, type, text) => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};
