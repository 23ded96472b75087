"use strict";
(() => {
  const runs = JSON.parse(document.getElementById("samples-data").textContent);
  const at = (id) => document.getElementById(id);
  const tables = [...document.querySelectorAll(".table table")];

  // ---- Sorting, each group by itself: a click begins with the best, the next turns it round, the third undoes it.

  const OTHER = { ascending: "descending", descending: "ascending" };

  /** A cell as what it is sorted by; null, which comes last either way, where nothing stands in it. */
  function key(row, column, numeric) {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent.trim() || null;
    return "value" in cell.dataset ? Number(cell.dataset.value) : null;
  }

  const compare = { true: (a, b) => (a > b) - (a < b), false: new Intl.Collator("en", { numeric: true }).compare };

  function sorted(rows, column, numeric, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = rows.map((row) => [key(row, column, numeric), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare[numeric](a, b)));
    return keyed.map(([, row]) => row);
  }

  function sortable(table) {
    const headers = [...table.tHead.rows[0].cells];
    const bodies = [...table.tBodies].map((body) => ({ body, rows: [...body.querySelectorAll("tr.row")] }));
    headers.forEach((header, column) => {
      const button = header.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const { first } = header.dataset;
        const now = header.getAttribute("aria-sort");
        const next = now === null ? first : now === first ? OTHER[first] : null;
        for (const other of headers) other.removeAttribute("aria-sort");
        if (next) header.setAttribute("aria-sort", next);
        const numeric = header.classList.contains("number");
        for (const { body, rows } of bodies) body.append(...(next ? sorted(rows, column, numeric, next) : rows));
        at("status").textContent = next ? `Sorted by ${button.textContent}, ${next}.` : "In the report's order.";
      });
    });
  }

  // ---- Filtering: rows whose texts, with their group's heading, have every word asked for.

  const filtered = tables.flatMap((table) =>
    [...table.tBodies].map((body) => {
      const heading = body.querySelector("tr.heading");
      const title = heading ? heading.textContent : "";
      const texts = (row) => [...row.querySelectorAll("td.text")].map((cell) => cell.textContent);
      const rows = [...body.querySelectorAll("tr.row")];
      return { body, rows: rows.map((row) => ({ row, text: [title, ...texts(row)].join(" ").toLowerCase() })) };
    }),
  );

  function filter() {
    const words = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    let [shown, all] = [0, 0];
    for (const { body, rows } of filtered) {
      let left = 0;
      for (const { row, text } of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      body.hidden = words.length > 0 && left === 0;
      shown += left;
      all += rows.length;
    }
    at("status").textContent = words.length ? `${shown} of ${all} rows.` : "";
  }

  // ---- Samples, made when their run is opened. Text is only ever set as text.

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  function block(title, text) {
    const shown = element("pre", { dir: "auto", tabindex: "0", "aria-label": title }, text);
    return element("div", {}, element("h5", {}, title), shown);
  }

  function facts(sample) {
    const pairs = [
      ["score", sample.score === null ? "not scored" : Number(sample.score.toFixed(4))],
      ["n_token", sample.n_token],
      ["e_token", sample.e_token],
      ["NFE", sample.nfe],
    ];
    const found = sample.found.filter((text) => text !== null);
    if (found.length && found.join() !== sample.answers.join()) pairs.push(["found", found.join(" | ")]);
    if (typeof sample.reason === "string") pairs.push(["reason", sample.reason]);
    const parts = pairs.map(([term, value]) =>
      element("div", {}, element("dt", {}, term), element("dd", { dir: "auto" }, String(value))),
    );
    return element("dl", {}, ...parts);
  }

  function article(sample) {
    const several = sample.answers.length > 1;
    const answers = sample.answers.map((text, place) => block(several ? `Answer ${place + 1}` : "Answer", text));
    const texts = element("div", { class: "texts" }, block("Prompt", sample.prompt), block("Reference", sample.target), ...answers);
    const kind = sample.score === null ? "unscored" : sample.score > 0 ? "scored" : "failed";
    return element("article", { class: kind }, element("h4", { dir: "auto" }, sample.id), facts(sample), texts);
  }

  function fill(run) {
    if (run.querySelector(".samples")) return;
    const samples = runs[Number(run.id.slice("run-".length)) - 1];
    run.append(element("div", { class: "samples" }, ...samples.map(article)));
  }

  /** Open the run that the address names. */
  function open() {
    const run = at(location.hash.slice(1));
    if (!run || !run.matches("details.run")) return;
    run.open = true;
    fill(run);
    run.scrollIntoView();
  }

  // ---- Beginning.

  tables.forEach(sortable);
  for (const run of document.querySelectorAll("details.run")) run.addEventListener("toggle", () => run.open && fill(run));
  at("filter").addEventListener("input", filter);
  at("tools").hidden = tables.length === 0;
  filter();
  addEventListener("hashchange", open);
  open();
})();
