(() => {
  "use strict";
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const hash = new URLSearchParams(location.hash.slice(1));
  const media = matchMedia("(prefers-color-scheme: dark)");
  const stored = (name) => { try { return localStorage.getItem("kollama2-" + name); } catch { return null; } };
  const store = (name, value) => { try { localStorage.setItem("kollama2-" + name, value); } catch { /* a page from a file may have no storage */ } };
  const views = new Map();

  // A spec's "@key" is a text, and the colours of marks belong to the page.
  const filled = (value) =>
    typeof value === "string" && value[0] === "@" && data.texts[value.slice(1)]
      ? data.texts[value.slice(1)][root.dataset.lang]
      : Array.isArray(value) ? value.map(filled)
      : value && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === "values" ? v : filled(v)]))
        : value;

  const config = (width) => {
    const css = getComputedStyle(root);
    const color = (name) => css.getPropertyValue("--" + name).trim();
    const palette = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => color("c" + i));
    const font = getComputedStyle(document.body).fontFamily;
    
    return {
      background: "transparent", font, view: { stroke: null },
      range: { category: [color("base"), ...palette, ...palette, ...palette] },
      axis: {
        labelColor: color("soft"), titleColor: color("soft"), gridColor: color("line"), gridOpacity: 0.7,
        domainColor: color("line"), tickColor: color("line"), labelFontSize: 12, titleFontSize: 12.5,
        titleFontWeight: 500, titlePadding: 10, labelLimit: 200, labelOverlap: true, labelSeparation: 4,
      },
      axisYBand: { labelColor: color("ink"), labelFontSize: width < 480 ? 12 : 13, grid: false, ticks: false, domain: false, labelPadding: 8 },
      legend: {
        labelColor: color("ink"), labelFontSize: 13, labelLimit: 200, symbolStrokeWidth: 3, symbolSize: 160,
        symbolType: "stroke", columns: Math.max(1, Math.floor(width / (width < 480 ? 165 : 210))), symbolOpacity: 1,
      },
      style: {
        band: { color: color("band") },
        mde: { color: color("soft"), thickness: 1.5, size: 16 },
        frontier: { color: color("soft"), strokeWidth: 1.2, strokeDash: [2, 3] },
        anchor: { color: color("soft"), strokeDash: [4, 3], strokeWidth: 1.2, opacity: 0.8 },
        zero: { color: color("base"), strokeWidth: 1.5 },
        limit: { color: color("bad"), strokeDash: [5, 4], strokeWidth: 1.2 },
        effect: { color: color("effect") },
        bubble: { stroke: color("card") },
        named: { color: color("ink"), font, fontSize: 12, fontWeight: 650 },
        unnamed: { color: color("soft"), font, fontSize: 12 },
      },
    };
  };

  const draw = async (place) => {
    const width = place.clientWidth;
    if (!width) return;
    views.get(place)?.finalize();
    const spec = filled(data.charts[place.dataset.chart]);
    spec.params = spec.params.map((one) => (one.name === "letters" ? { ...one, value: width < 480 ? 20 : 28 } : one));
    const view = await vegaEmbed(place, spec, {
      actions: false, renderer: "svg", ast: true, config: config(width), tooltip: { theme: "custom" },
    });
    views.set(place, view);
  };
  const drawAll = () => Promise.all([...document.querySelectorAll(".chart")].map(draw));

  const dress = () => {
    const theme = (hash.get("theme") || stored("theme") || (media.matches ? "dark" : "light")) === "dark" ? "dark" : "light";
    const lang = (hash.get("lang") || stored("lang")) === "ko" ? "ko" : "en";
    const changed = root.dataset.theme !== theme || root.dataset.lang !== lang;
    root.dataset.theme = theme;
    root.dataset.lang = root.lang = lang;
    for (const input of document.querySelectorAll("[data-text]")) {
      const text = data.texts[input.dataset.text][lang];
      input.setAttribute("aria-label", text);
      if (input.tagName === "INPUT") input.placeholder = text;
    }
    return changed;
  };
  const choose = (name, value) => { hash.delete(name); store(name, value); dress(); drawAll(); };

  const sortable = (table) => {
    const body = table.tBodies[0];
    table.tHead.querySelectorAll("th").forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.tHead.querySelectorAll("[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => (a === "" || b === "" ? (a === "") - (b === "")
        : (up ? 1 : -1) * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b));
      body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
    }));
  };

  const searching = (input) => {
    const samples = [...document.querySelectorAll(".sample")];
    const texts = samples.map((one) => one.textContent.toLowerCase().normalize("NFC"));
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().normalize("NFC").trim();
      let found = 0;
      samples.forEach((one, i) => {
        one.hidden = wanted !== "" && !texts[i].includes(wanted);
        if (!one.hidden) found += 1;
        if (wanted && !one.hidden) one.open = true;
      });
      document.getElementById("no-match").hidden = found > 0;
    });
  };

  dress();
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".search input").forEach(searching);
  document.getElementById("theme").addEventListener("click", () => choose("theme", root.dataset.theme === "dark" ? "light" : "dark"));
  document.getElementById("language").addEventListener("click", () => choose("lang", root.dataset.lang === "ko" ? "en" : "ko"));
  media.addEventListener("change", () => { if (dress()) drawAll(); });
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", () => {
    if (one.open) one.querySelectorAll(".chart").forEach((place) => views.has(place) || draw(place));
  }));
  drawAll().then(() => { root.dataset.drawn = "yes"; });
})();
