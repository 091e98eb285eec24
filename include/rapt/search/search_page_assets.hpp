/// \file
/// What every page of a search consists of beside its trials: style and script.
#pragma once

#include <string_view>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline constexpr std::string_view kSearchPageStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #faf8f3; --card: #fdfcf9; --ink: #22262e; --soft: #666d78; --line: #e3dfd5; --accent: #1f5c9c;
  --lit: rgb(31 92 156 / .12);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171b; --ink: #e8e5de; --soft: #9aa0ab; --line: #30343c; --accent: #86b9ee;
    --lit: rgb(134 185 238 / .18);
  }
}
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 var(--sans); }
main { max-width: 1120px; margin: 0 auto; padding: 28px 16px 56px; }
h1 { margin: 0 0 6px; font-size: 26px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 36px 0 8px; font-size: 18px; }
p { margin: 0 0 10px; max-width: 80ch; color: var(--soft); overflow-wrap: anywhere; }
p b { color: var(--ink); font-weight: 600; }
.scroll { overflow-x: auto; }
.drawing { background: #fdfcf9; border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }
.drawing svg { display: block; margin: 0 auto; }
.bars {
  display: grid; grid-template-columns: max-content 1fr max-content; gap: 6px 12px; align-items: center;
  max-width: 640px;
}
.bars i { display: block; height: 14px; min-width: 1px; border-radius: 3px; background: var(--accent); }
.bars span:nth-child(3n) { font-variant-numeric: tabular-nums; text-align: right; }
.trial { fill: none; stroke-opacity: .75; }
.trial.failed { stroke-dasharray: 5 4; }
.trial.best { stroke-opacity: 1; }
.parallel:has(.lit) .trial:not(.lit) { stroke-opacity: .12; }
.trial.lit { stroke-opacity: 1; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 5px 12px; border-bottom: 1px solid var(--line); text-align: right; }
th.text, td.text { text-align: left; }
td.failure { max-width: 420px; overflow: hidden; text-overflow: ellipsis; }
th { padding: 0; }
th button {
  width: 100%; padding: 8px 12px; border: 0; background: none; color: var(--soft); font: 600 13px/1.3 var(--sans);
  text-align: inherit; cursor: pointer;
}
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
tr.lit td { background: var(--lit); }
tr.best td { font-weight: 600; }
)css";

// Rows of the table and lines of the drawing light up together; a click on a column's head sorts by it.
inline constexpr std::string_view kSearchPageScript = R"js(
"use strict";
const marked = [...document.querySelectorAll("[data-trial]")];
const light = (event, on) => {
  const at = event.target.closest ? event.target.closest("[data-trial]") : null;
  if (at === null) return;
  for (const other of marked) if (other.dataset.trial === at.dataset.trial) other.classList.toggle("lit", on);
};
document.addEventListener("mouseover", (event) => light(event, true));
document.addEventListener("mouseout", (event) => light(event, false));
const heads = [...document.querySelectorAll("th")];
heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const body = document.querySelector("tbody");
  const key = (row) => row.cells[column].textContent;
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");  // empty cells stay at the end
    const difference = Number(a) - Number(b);
    return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
  };
  body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
}));
)js";

}}}  // namespace rapt::RAPT_ABI::detail
