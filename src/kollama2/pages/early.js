// Runs before the first paint, so that no page shows the other language or the other light first.
{
  const root = document.documentElement;
  const chosen = (name, known) => {
    try { return known.find((one) => one === localStorage.getItem("kollama2-" + name)); } catch { return undefined; }
  };
  const ofBrowser = navigator.languages.find((one) => /^(ko|en)\b/.test(one))?.slice(0, 2) || "en";
  root.lang = chosen("lang", ["ko", "en"]) || root.dataset.lang || ofBrowser;
  root.style.colorScheme = chosen("theme", ["light", "dark"]) || "";
}
