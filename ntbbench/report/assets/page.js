// SPDX-License-Identifier: BSD-3-Clause
"use strict";
(function () {
  const PRINT_WIDTH = 680; // px of an A4 page between its margins

  function draw() {
    for (const source of document.querySelectorAll("script[data-plot]")) {
      const { data, layout } = JSON.parse(source.textContent);
      Plotly.newPlot(source.dataset.plot, data, layout, { responsive: true, displaylogo: false });
    }
  }

  function resize(size) {
    for (const plot of document.querySelectorAll(".plot")) Plotly.relayout(plot, size);
  }

  // A cell's number at full precision where it has one, else its text.
  function key(row, column) {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  }

  // Numbers by size, then texts (numbers inside them by size too), then empty cells.
  function compare(a, b) {
    const rank = (value) => (typeof value === "number" ? 0 : value === "" ? 2 : 1);
    if (rank(a) !== rank(b)) return { order: rank(a) - rank(b), fixed: rank(a) === 2 || rank(b) === 2 };
    const order = rank(a) === 0 ? a - b : a.localeCompare(b, "en", { numeric: true });
    return { order, fixed: false };
  }

  function sort(table, column) {
    const headers = table.tHead.rows[0].cells;
    const descending = headers[column].getAttribute("aria-sort") === "ascending";
    for (const header of headers) header.setAttribute("aria-sort", "none");
    headers[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, value: key(row, column) }));
    rows.sort((a, b) => {
      const { order, fixed } = compare(a.value, b.value);
      return descending && !fixed ? -order : order;
    });
    body.append(...rows.map((item) => item.row));
  }

  function filter(holder, text) {
    const words = text.toLowerCase().split(/\s+/);
    const rows = holder.querySelectorAll("tbody tr");
    let shown = 0;
    for (const row of rows) {
      const cells = Array.from(row.cells, (cell) => cell.textContent).join("\n").toLowerCase();
      row.hidden = !words.every((word) => cells.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    holder.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  }

  for (const holder of document.querySelectorAll("div.table")) {
    const table = holder.querySelector("table");
    holder.querySelectorAll("th button").forEach((button, column) => {
      button.addEventListener("click", () => sort(table, column));
    });
    const input = holder.querySelector("input");
    if (input) input.addEventListener("input", () => filter(holder, input.value));
  }
  draw();
  window.addEventListener("beforeprint", () => resize({ autosize: false, width: PRINT_WIDTH }));
  window.addEventListener("afterprint", () => resize({ autosize: true, width: null }));
})();
