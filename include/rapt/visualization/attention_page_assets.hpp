/// \file
/// What every attention page consists of beside its tokens and weights: markup, style and script.
#pragma once

#include <string_view>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline constexpr std::string_view kAttentionPageBody = R"html(</header>
<main>
<p class="guide"><span>Each square is one attention head: its rows are the tokens that look, its columns the tokens they look at. Open one for the tokens and the numbers.</span>
<span class="legend" role="img" aria-label="Colours run from weight 0 to weight 1">0<i id="scale"></i>1</span></p>
<noscript><p>The maps are drawn by a script in this page, and scripts are switched off.</p></noscript>
<div id="sections"></div>
</main>
<dialog id="viewer" aria-labelledby="heading">
<div class="viewer">
<div class="bar">
<h2 id="heading" tabindex="-1" autofocus><span id="viewer-section"></span> <span id="viewer-title"></span></h2>
<button type="button" id="close" class="icon" aria-label="Close">✕</button>
</div>
<div id="stage"></div>
<div id="readout" aria-live="polite"></div>
<div class="bar">
<div class="choice" role="group" aria-label="View">
<button type="button" id="as-map" aria-pressed="true">Map</button>
<button type="button" id="as-lines" aria-pressed="false">Lines</button>
</div>
<div class="steps">
<button type="button" id="previous" class="icon" aria-label="Previous head">‹</button>
<span id="place"></span>
<button type="button" id="next" class="icon" aria-label="Next head">›</button>
</div>
</div>
</div>
</dialog>
)html";

inline constexpr std::string_view kAttentionPageStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #faf8f3; --card: #ffffff; --ink: #22262e; --soft: #666d78; --line: #e3dfd5; --accent: #1f5c9c;
  --lines: 31 92 156; --shade: rgb(30 30 40 / .45);
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171b; --card: #1c1f25; --ink: #e8e5de; --soft: #9aa0ab; --line: #30343c; --accent: #86b9ee;
    --lines: 134 185 238; --shade: rgb(0 0 0 / .6);
  }
}
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 var(--sans); -webkit-text-size-adjust: 100%; }
button { font: inherit; color: inherit; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.top, main { max-width: 1480px; margin: 0 auto; padding: 0 16px; overflow-wrap: anywhere; }
.top { padding-top: 28px; }
h1 { margin: 0 0 10px; font: 600 13px/1.4 var(--sans); color: var(--soft); letter-spacing: .02em; }
.source, .target { margin: 0; font: 24px/1.35 var(--serif); }
.target { color: var(--accent); margin-top: 4px; }
.guide { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; justify-content: space-between; margin: 20px 0 0; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft); font-size: 14px; }
.guide > span:first-child { flex: 1 1 300px; max-width: 76ch; }
.legend { display: inline-flex; gap: 8px; align-items: center; font-variant-numeric: tabular-nums; }
.legend i { width: 132px; height: 10px; border-radius: 2px; }
#sections { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, var(--section)), 1fr)); gap: 36px 48px; margin: 28px 0 56px; }
section { min-width: 0; }
section > h2 { margin: 0; font: 600 20px/1.3 var(--serif); }
.note { margin: 4px 0 16px; color: var(--soft); font-size: 14px; max-width: 60ch; }
.layer { margin: 0 0 14px; }
.layer > h3 { margin: 0 0 5px; font: 500 12px/1.4 var(--sans); color: var(--soft); }
.heads { display: grid; grid-template-columns: repeat(var(--few), 1fr); gap: 8px; }
@media (min-width: 720px) { .heads { grid-template-columns: repeat(var(--many), minmax(0, 1fr)); max-width: calc(var(--many) * 152px); } }
.head { display: block; width: 100%; min-height: 44px; padding: 5px; border: 1px solid var(--line); border-radius: 6px; background: var(--card); cursor: pointer; transition: border-color .12s; }
.head:hover { border-color: var(--accent); }
.head canvas { display: block; width: 100%; image-rendering: pixelated; }

dialog { width: min(96vw, 1120px); max-width: none; height: min(94vh, 980px); max-height: none; padding: 0; border: 1px solid var(--line); border-radius: 12px; background: var(--card); color: var(--ink); }
#heading:focus { outline: none; }
dialog::backdrop { background: var(--shade); }
.viewer { display: flex; flex-direction: column; height: 100%; }
.bar { display: flex; gap: 12px; align-items: center; justify-content: space-between; padding: 8px 12px 8px 20px; }
.bar h2 { margin: 0; font: 600 19px/1.25 var(--serif); }
#viewer-title { color: var(--soft); font-weight: 400; white-space: nowrap; }
.icon { flex: none; width: 44px; height: 44px; border: 0; border-radius: 8px; background: none; font-size: 18px; line-height: 1; cursor: pointer; }
.icon:hover, .choice button:hover { background: color-mix(in srgb, var(--accent) 12%, transparent); }
.icon:disabled { opacity: .3; cursor: default; background: none; }
.steps { display: flex; align-items: center; gap: 2px; }
.steps .icon { font-size: 26px; }
#place { min-width: 5.5em; text-align: center; font-size: 14px; color: var(--soft); font-variant-numeric: tabular-nums; }
.choice { display: flex; border: 1px solid var(--line); border-radius: 9px; overflow: hidden; }
.choice button { min-height: 44px; padding: 0 16px; border: 0; background: none; cursor: pointer; font-size: 15px; }
.choice button[aria-pressed=true] { background: var(--accent); color: var(--card); }
.choice button:focus-visible { outline-offset: -4px; }
.choice button[aria-pressed=true]:focus-visible { outline-color: var(--card); }
#stage { position: relative; flex: 1; min-height: 0; overflow: auto; overscroll-behavior: contain; border: solid var(--line); border-width: 1px 0; }
#readout { flex: none; height: 78px; padding: 10px 20px 0; overflow: hidden; font-size: 15px; }
#readout p { margin: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
#readout b { font: 600 17px/1.5 var(--serif); }
#readout .value { font: 600 17px/1.5 var(--sans); color: var(--accent); font-variant-numeric: tabular-nums; }
#readout .pair { margin-right: 16px; }
#readout .soft, .hint { color: var(--soft); }

.map { margin: 0 auto; padding: 6px; border-collapse: separate; border-spacing: 1px; font-size: 14px; line-height: 1.2; }
.map th { padding: 0; font-weight: 400; background: var(--card); cursor: pointer; }
.map thead th { position: sticky; top: 0; z-index: 1; height: 1px; padding: 6px 0; vertical-align: bottom; }
.map tbody th { position: sticky; left: 0; padding: 0 8px 0 6px; text-align: right; }
.map thead th.corner { left: 0; z-index: 2; cursor: default; }
.map th span { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.map tbody th span { max-width: min(26vw, 180px); line-height: 1.5; }
.map thead th span { margin: 0 auto; max-height: 130px; writing-mode: vertical-rl; line-height: 1.25; }
.map thead th span.turned { transform: rotate(180deg); }
.map th.on span { color: var(--accent); font-weight: 600; }
.map td { width: var(--wide); min-width: var(--wide); height: var(--high); padding: 0; text-align: center; font-size: 11px; line-height: 1; font-variant-numeric: tabular-nums; cursor: crosshair; forced-color-adjust: none; }
.map td.masked { cursor: default; }
.map td span { display: none; }
.map.large td span { display: inline; }
.map td.on { outline: 2px solid var(--ink); outline-offset: -1px; position: relative; }

.lines { display: grid; grid-template-columns: minmax(0, auto) minmax(80px, 1fr) minmax(0, auto); width: min(100%, 620px); margin: 0 auto; padding: 8px 12px; }
.lines button { display: flex; gap: 8px; align-items: center; width: 100%; height: var(--row); padding: 0 8px; border: 0; border-radius: 6px; background: none; cursor: pointer; }
.lines .from button { justify-content: flex-end; }
.lines button span { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.lines button i { font-style: normal; font-size: 12px; min-width: 2em; color: var(--accent); font-variant-numeric: tabular-nums; }
.lines .from i { text-align: right; }
.lines button.on { background: color-mix(in srgb, var(--accent) 14%, transparent); }
.lines > div { min-width: 0; max-width: 34vw; }
.lines svg { display: block; width: 100%; }
.lines path { fill: none; stroke: rgb(var(--lines)); vector-effect: non-scaling-stroke; }

@media (max-width: 719px) {
  html:has(dialog[open]) { overflow: hidden; }
  .top { padding-top: 20px; }
  .source, .target { font-size: 21px; }
  dialog { width: 100vw; height: 100vh; height: 100dvh; border: 0; border-radius: 0; }
  .bar { padding: 6px 8px 6px 16px; }
  .bar:last-child { padding-bottom: max(8px, env(safe-area-inset-bottom)); }
  #readout { padding: 8px 16px 0; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
)css";

// Texts get into the document as textContent alone, so that no token can become markup.
inline constexpr std::string_view kAttentionPageScript = R"js(
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, parent, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };

  // ---- Colours: more than linear for small weights, which are most of them ----
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const ramps = {
    light: [[246, 243, 236], [197, 219, 238], [111, 166, 214], [42, 104, 170], [13, 42, 90]],
    dark: [[36, 40, 48], [37, 69, 104], [48, 112, 170], [104, 175, 230], [230, 244, 255]],
  };
  const shade = (weight) => Math.min(1, weight) ** 0.6;
  const colour = (weight) => {
    const ramp = ramps[dark.matches ? "dark" : "light"], at = shade(weight) * (ramp.length - 1);
    const i = Math.min(Math.floor(at), ramp.length - 2);
    return ramp[i].map((from, c) => Math.round(from + (ramp[i + 1][c] - from) * (at - i)));
  };
  const rgb = (weight) => `rgb(${colour(weight).join(" ")})`;
  const inkOn = (weight) => (shade(weight) > 0.58) === dark.matches ? "#14171c" : "#f4f6f8";

  // ---- Every head of every layer of every section, in the order of the page ----
  const maps = [];
  const isMasked = (section, q, k) => section.causal && k - q > section.keys.length - section.queries.length;
  const weightOf = (map, q, k) => map.weights[q * map.section.keys.length + k] / data.unit;
  // White space shows as signs; nothing at all as an empty set.
  const shown = (token) => token.trim() ? token :
    [...token].map((c) => ({"\n": "⏎", "\t": "⇥"})[c] ?? "␣").join("") || "∅";
  const divisor = (heads, most) => {
    for (let n = most; n > 2; --n) if (heads % n === 0) return n;
    return Math.min(heads, most);
  };

  function drawThumbnail(map) {
    const rows = map.section.queries.length, columns = map.section.keys.length;
    const context = map.canvas.getContext("2d"), image = context.createImageData(columns, rows);
    for (let q = 0; q < rows; ++q) {
      for (let k = 0; k < columns; ++k) {
        if (!isMasked(map.section, q, k)) image.data.set([...colour(weightOf(map, q, k)), 255], 4 * (q * columns + k));
      }
    }
    context.putImageData(image, 0, 0);
  }

  function drawOverview() {
    let widest = 1;
    data.sections.forEach((section, s) => {
      const element = make("section", $("sections"));
      make("h2", element, "", section.title);
      make("p", element, "note", section.note);
      section.layers.forEach((heads, l) => {
        const layer = make("div", element, "layer"), grid = (make("h3", layer, "", `Layer ${l + 1}`), make("div", layer, "heads"));
        grid.style.setProperty("--few", divisor(heads.length, 4));
        grid.style.setProperty("--many", divisor(heads.length, 8));
        widest = Math.max(widest, divisor(heads.length, 8));
        heads.forEach((weights, h) => {
          const button = make("button", grid, "head"), canvas = make("canvas", button);
          const map = {section, weights, button, canvas, place: [s, l, h], index: maps.length};
          maps.push(map);
          button.type = "button";
          button.setAttribute("aria-label", `${section.title}, layer ${l + 1}, head ${h + 1}`);
          button.title = `Layer ${l + 1}, head ${h + 1}`;
          button.addEventListener("click", () => go(map.index));
          canvas.width = section.keys.length;
          canvas.height = section.queries.length;
          canvas.style.aspectRatio = Math.min(2, Math.max(0.5, canvas.width / canvas.height));
          if (canvas.width && canvas.height) drawThumbnail(map);
        });
      });
    });
    $("sections").style.setProperty("--section", `${Math.min(680, Math.max(300, widest * 88))}px`);
  }

  function drawLegend() {
    const stops = Array.from({length: 21}, (_, i) => rgb(i / 20));
    $("scale").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  }

  // ---- The viewer: one head, as a map or as lines ----
  const dialog = $("viewer"), stage = $("stage"), readout = $("readout");
  let current = null, asLines = false, pushed = false, mark = () => {};

  const name = (parent, token) => {
    const element = make("b", parent, "", shown(token));
    element.dir = "auto";
    return element;
  };
  function say(q, k) {
    const {queries, keys} = current.section;
    readout.replaceChildren();
    const first = make("p", readout), second = make("p", readout);
    if (q === null && k === null) {
      first.className = "hint";
      first.textContent = asLines ? "Choose a token on either side." : "Choose a cell, or a token of a row or column.";
    } else if (q !== null && k !== null) {
      name(first, queries[q]);
      make("span", first, "soft", " looks at ");
      name(first, keys[k]);
      make("span", second, "value", weightOf(current, q, k).toFixed(4));
    } else {
      const others = q !== null ? keys : queries;
      const weights = others.map((_, i) => [q !== null ? weightOf(current, q, i) : weightOf(current, i, k), i]);
      name(first, q !== null ? queries[q] : keys[k]);
      make("span", first, "soft", q !== null ? " looks most at" : " is looked at most by");
      for (const [weight, i] of weights.sort((a, b) => b[0] - a[0]).slice(0, 4)) {
        if (weight < 0.005) continue;
        const pair = make("span", second, "pair");
        name(pair, others[i]);
        make("span", pair, "value", ` ${weight.toFixed(2)}`);
      }
    }
  }

  const upright = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Extended_Pictographic}/u;
  function label(parent, token, scope) {
    const th = make("th", parent), span = make("span", th, scope === "col" && !upright.test(token) ? "turned" : "", shown(token));
    th.scope = scope;
    th.title = token;
    span.dir = "auto";
    return th;
  }

  function drawMap() {
    const {section} = current, table = make("table", stage, "map");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", "Rows look at columns");
    table.lang = "";
    table.translate = false;
    const top = make("tr", make("thead", table)), body = make("tbody", table);
    make("th", top, "corner").setAttribute("aria-hidden", "true");
    const columns = section.keys.map((token) => label(top, token, "col")), rows = [], cells = [];
    section.queries.forEach((token, q) => {
      const row = make("tr", body);
      rows.push(label(row, token, "row"));
      cells.push(section.keys.map((_, k) => {
        const weight = weightOf(current, q, k), cell = make("td", row);
        cell.dataset.weight = weight.toFixed(4);
        cell.setAttribute("aria-label", weight.toFixed(4));
        cell.tabIndex = -1;
        if (isMasked(section, q, k)) {
          cell.className = "masked";
        } else {
          cell.style.background = rgb(weight);
          cell.style.color = inkOn(weight);
          if (weight >= 0.005) make("span", cell, "", weight.toFixed(2).replace(/^0/, ""));
        }
        return cell;
      }));
    });
    const all = cells.flat();
    if (all.length) all[0].tabIndex = 0;

    mark = (q, k) => {
      for (const element of table.querySelectorAll(".on")) element.classList.remove("on");
      if (q !== null) rows[q].classList.add("on");
      if (k !== null) columns[k].classList.add("on");
      if (q !== null && k !== null) {
        cells[q][k].classList.add("on");
        for (const element of table.querySelectorAll("td[tabindex='0']")) element.tabIndex = -1;
        cells[q][k].tabIndex = 0;
      }
      say(q, k);
    };
    const placeOf = (target) => {
      const cell = target.closest("td, th");
      if (!cell || cell.classList.contains("corner")) return null;
      const row = cell.parentElement.parentElement === body ? cell.parentElement.sectionRowIndex : null;
      return [row, cell.cellIndex === 0 ? null : cell.cellIndex - 1];
    };
    const follow = (event) => {
      const place = placeOf(event.target);
      if (place) mark(...place);
    };
    table.addEventListener("click", follow);
    table.addEventListener("focusin", follow);
    table.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") follow(event); });
    table.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
                    Home: [0, -Infinity], End: [0, Infinity]}[event.key];
      const place = placeOf(event.target);
      if (!step || !place || place[0] === null || place[1] === null) return;
      event.preventDefault();
      const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
      cells[clamp(place[0] + step[0], rows.length)][clamp(place[1] + step[1], columns.length)].focus();
    });
    fit();
  }

  // Cells as large as the stage allows, but large enough for a finger; beyond that the stage scrolls, not the page.
  function fit() {
    const table = stage.querySelector(".map");
    if (!table) return;
    const {queries, keys} = current.section, corner = table.querySelector(".corner");
    const size = (wide, high) => {
      table.style.setProperty("--wide", `${Math.floor(wide)}px`);
      table.style.setProperty("--high", `${Math.floor(high)}px`);
    };
    size(24, 24);
    const freeWidth = (stage.clientWidth - 16 - corner.offsetWidth) / Math.max(1, keys.length) - 1;
    const freeHeight = (stage.clientHeight - 16 - corner.offsetHeight) / Math.max(1, queries.length) - 1;
    const wide = Math.max(24, Math.min(freeWidth, Math.max(freeHeight, 36), 60));
    size(wide, Math.max(24, Math.min(freeHeight, 1.4 * wide, 60)));
    table.classList.toggle("large", wide >= 30);
  }

  const svg = (tag, parent) => parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
  function drawLines() {
    const {queries, keys} = current.section, height = 34;
    const box = make("div", stage, "lines");
    box.style.setProperty("--row", `${height}px`);
    box.lang = "";
    box.translate = false;
    const from = make("div", box, "from"), picture = svg("svg", box), to = make("div", box, "to");
    picture.setAttribute("viewBox", `0 0 100 ${height * Math.max(queries.length, keys.length)}`);
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("aria-hidden", "true");
    picture.style.height = `${height * Math.max(queries.length, keys.length)}px`;
    const paths = [];
    queries.forEach((_, q) => keys.forEach((__, k) => {
      const weight = weightOf(current, q, k);
      if (weight < 0.005) return;
      const path = svg("path", picture), y = (q + 0.5) * height, z = (k + 0.5) * height;
      path.setAttribute("d", `M0 ${y}C45 ${y} 55 ${z} 100 ${z}`);
      path.setAttribute("stroke-width", 1 + 4 * weight);
      paths.push({path, q, k, weight});
    }));
    let chosen = null;
    const token = (parent, text, q, k) => {
      const button = make("button", parent), value = document.createElement("i");
      button.type = "button";
      button.title = text;
      const words = make("span", button, "", shown(text));
      words.dir = "auto";
      if (q !== null) button.prepend(value); else button.append(value);
      const choose = () => { chosen = [q, k]; mark(q, k); };
      button.addEventListener("click", choose);
      button.addEventListener("focus", choose);
      button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") mark(q, k); });
      button.addEventListener("pointerleave", () => mark(...(chosen ?? [null, null])));
      return {button, value};
    };
    const left = queries.map((text, q) => token(from, text, q, null));
    const right = keys.map((text, k) => token(to, text, null, k));
    mark = (q, k) => {
      const none = q === null && k === null;
      for (const line of paths) {
        const on = line.q === q || line.k === k;
        line.path.style.strokeOpacity = none ? shade(line.weight) : on ? 0.25 + 0.75 * shade(line.weight) : 0.05;
      }
      const write = (items, me, other) => items.forEach(({button, value}, i) => {
        button.classList.toggle("on", i === me);
        const weight = other === null ? 0 : me === null && items === right ? weightOf(current, other, i) : weightOf(current, i, other);
        value.textContent = weight >= 0.005 ? weight.toFixed(2).replace(/^0/, "") : "";
      });
      write(left, q, k);
      write(right, k, q);
      say(q, k);
    };
  }

  function draw() {
    const [, l, h] = current.place;
    $("viewer-section").textContent = current.section.title;
    $("viewer-title").textContent = `layer ${l + 1}, head ${h + 1}`;
    $("place").textContent = `${current.index + 1} of ${maps.length}`;
    $("previous").disabled = current.index === 0;
    $("next").disabled = current.index === maps.length - 1;
    $("as-map").setAttribute("aria-pressed", String(!asLines));
    $("as-lines").setAttribute("aria-pressed", String(asLines));
    stage.replaceChildren();
    (asLines ? drawLines : drawMap)();
    mark(null, null);
  }

  // ---- Which head is open stands in the address, so that it can be linked to and "back" closes it ----
  function inAddress() {
    const found = /^#(\d+)\.(\d+)\.(\d+)$/.exec(location.hash);
    return found ? maps.find((map) => map.place.every((value, i) => value + 1 === Number(found[i + 1]))) : undefined;
  }
  const address = (change, text) => {
    try { history[change](null, "", text); } catch { /* a page without an address of its own */ }
  };
  function show(map) {
    current = map;
    if (!dialog.open) dialog.showModal();
    draw();
  }
  function go(index) {
    const map = maps[index];
    if (!dialog.open) pushed = true;
    address(dialog.open ? "replaceState" : "pushState", `#${map.place.map((value) => value + 1).join(".")}`);
    show(map);
  }
  function follow() {
    const map = inAddress();
    if (map) show(map); else dialog.close();
  }
  addEventListener("popstate", follow);
  dialog.addEventListener("close", () => {
    if (dialog.open) return;  // again, meanwhile
    if (current) current.button.focus();
    if (inAddress()) {
      if (pushed) history.back(); else address("replaceState", location.pathname + location.search);
    }
    pushed = false;
    stage.replaceChildren();
  });
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  $("previous").addEventListener("click", () => go(current.index - 1));
  $("next").addEventListener("click", () => go(current.index + 1));
  $("as-map").addEventListener("click", () => { asLines = false; draw(); });
  $("as-lines").addEventListener("click", () => { asLines = true; draw(); });

  addEventListener("resize", () => { if (dialog.open) fit(); });
  dark.addEventListener("change", () => {
    drawLegend();
    maps.forEach(drawThumbnail);
    if (dialog.open) draw();
  });
  drawLegend();
  drawOverview();
  if (inAddress()) show(inAddress());
})();
)js";

}}}  // namespace rapt::RAPT_ABI::detail
