// Requests to the server that sent this page: its models, and answers while they are written.
class Trouble extends Error {
  constructor(key, values = {}) {
    super(key);
    this.told = { key: "trouble." + key, values };
  }
}

let token = null, wanted = null;
try { token = sessionStorage.getItem("kollama2-token"); } catch { /* it is asked for again */ }

// Asks whoever sits here for the token, once for all requests that wait for it.
const wantToken = (wrong) => {
  wanted ||= new Promise((given) => {
    $("token-wrong").hidden = !wrong;
    $("token").value = "";
    const dialog = $("token-dialog");
    dialog.addEventListener("close", () => {
      token = dialog.returnValue || null;
      try { if (token) sessionStorage.setItem("kollama2-token", token); } catch { /* as above */ }
      wanted = null;
      given(token);
    }, { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  });
  return wanted;
};
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("token-dialog").close($("token").value.trim());
});
$("token-leave").addEventListener("click", () => $("token-dialog").close(""));

const refusal = async (response) => {
  const reason = await response.json().then((body) => body.error.message, () => `${response.status} ${response.statusText}`);
  const seconds = response.headers.get("retry-after") || "1";
  if (response.status === 429) return new Trouble("busy", { seconds });
  if (response.status === 503) return new Trouble("later", { reason, seconds });
  return new Trouble(response.status < 500 ? "refused" : "failed", { reason });
};

const request = async (path, options = {}) => {
  for (;;) {
    const sent = token, headers = { ...options.headers, ...(sent && { authorization: `Bearer ${sent}` }) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      throw error.name === "AbortError" ? error : new Trouble("offline");
    }
    if (response.ok) return response;
    if (response.status !== 401) throw await refusal(response);
    if (token === sent && !(await wantToken(Boolean(sent)))) throw new Trouble("denied");
  }
};

const modelNames = async () => {
  const names = (await (await request("v1/models")).json()).data.map((one) => one.id);
  if (!names.length) throw new Trouble("models");
  return names;
};

// The data of server-sent events, each of which is one line here.
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Trouble("cut");
    });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}

// Calls `piece` with each text as it comes; returns why the answer ended, and its tokens.
const ask = async (body, signal, piece) => {
  const response = await request("v1/chat/completions", {
    method: "POST", signal, headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  let reason = null, tokens = null;
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return { reason, tokens };
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Trouble("failed", { reason: chunk.error.message });
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) piece(choice.delta.content);
    reason = choice?.finish_reason || reason;
    tokens = chunk.usage?.completion_tokens ?? tokens;
  }
  if (!reason) throw new Trouble("cut");
  return { reason, tokens };
};
