// Runs before the first paint, so that a dark page never flashes white.
(() => {
  const root = document.documentElement;
  const hash = new URLSearchParams(location.hash.slice(1));
  const chosen = (name) => {
    try { return hash.get(name) || localStorage.getItem("kollama2-" + name); } catch { return hash.get(name); }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.classList.add("js");
  root.dataset.theme = (chosen("theme") || (dark ? "dark" : "light")) === "dark" ? "dark" : "light";
  root.dataset.lang = root.lang = chosen("lang") === "ko" ? "ko" : "en";
})();
