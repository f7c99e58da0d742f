// SPDX-License-Identifier: BSD-3-Clause
"use strict";
(function () {
  const PRINT_WIDTH = 680; // px of an A4 page between its margins

  // plotly follows the window; a figure also changes with the scroll bar that the page gets.
  const widths = new Map();
  let printing = false;
  const watcher = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (printing || Math.abs(contentRect.width - widths.get(target)) < 1) continue;
      widths.set(target, contentRect.width);
      Plotly.Plots.resize(target);
    }
  });

  // The library is packed, for it is most of the page. What it unpacks to is named in the policy.
  async function load() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function draw() {
    for (const source of document.querySelectorAll("script[data-plot]")) {
      const { data, layout } = JSON.parse(source.textContent);
      const plot = document.getElementById(source.dataset.plot);
      widths.set(plot, plot.clientWidth);
      Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false });
      watcher.observe(plot);
    }
    document.body.dataset.drawn = "yes"; // for whoever waits for the charts
  }

  function resize(size) {
    for (const plot of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(plot, size);
  }

  const texts = new Intl.Collator("en", { numeric: true });

  // A cell's number at full precision where it has one, else its text.
  function key(row, column) {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  }

  // Numbers by size, then texts (numbers inside them by size too); empty cells last both ways.
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a !== typeof b) return sign * (typeof a === "number" ? -1 : 1);
    return sign * (typeof a === "number" ? a - b : texts.compare(a, b));
  }

  function sort(table, column) {
    const headers = table.tHead.rows[0].cells;
    const descending = headers[column].getAttribute("aria-sort") === "ascending";
    for (const header of headers) header.setAttribute("aria-sort", "none");
    headers[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, value: key(row, column) }));
    rows.sort((a, b) => compare(a.value, b.value, descending ? -1 : 1));
    body.remove(); // ten times faster than moving the rows of a body that is on the page
    body.append(...rows.map((item) => item.row));
    table.append(body);
  }

  // Show the rows that hold every word, as many of them as the table shows at once.
  function show(holder) {
    const words = holder.querySelector("input").value.toLowerCase().split(/\s+/);
    const rows = holder.querySelectorAll("tbody tr");
    let matches = 0;
    for (const row of rows) {
      const cells = Array.from(row.cells, (cell) => cell.textContent).join("\n").toLowerCase();
      const match = words.every((word) => cells.includes(word));
      matches += match ? 1 : 0;
      row.hidden = !match || matches > Number(holder.dataset.shown);
    }
    const shown = Math.min(matches, Number(holder.dataset.shown));
    holder.querySelector("output").textContent =
      shown < matches ? `the first ${shown} of ${matches} rows` : `${matches} of ${rows.length} rows`;
    holder.querySelector(".tools button").hidden = shown === matches;
  }

  for (const holder of document.querySelectorAll("div.table")) {
    holder.querySelectorAll("th button").forEach((button, column) => {
      button.addEventListener("click", () => {
        sort(holder.querySelector("table"), column);
        show(holder);
      });
    });
    holder.querySelector("input").addEventListener("input", () => show(holder));
    holder.querySelector(".tools button").addEventListener("click", () => {
      holder.dataset.shown = "Infinity";
      show(holder);
    });
    show(holder);
  }
  if (document.getElementById("plotly")) load().then(draw);
  window.addEventListener("beforeprint", () => {
    printing = true;
    resize({ autosize: false, width: PRINT_WIDTH });
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    resize({ autosize: true, width: null });
  });
})();
