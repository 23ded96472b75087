"use strict";
document.documentElement.classList.add("has-script");

const at = (id) => document.getElementById(id);

/** A new element; texts are never parsed as HTML. */
function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

const unpacked = new Map();

/** The content of a block of the page, which is gzipped JSON in base64; unpacked once. */
function unpack(id) {
  if (!unpacked.has(id)) {
    const bytes = Uint8Array.from(atob(at(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    unpacked.set(id, new Response(stream).json());
  }
  return unpacked.get(id);
}

function save(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

(() => {
  const tables = [...document.querySelectorAll(".table table")];

  // ---- Sorting within each group: best first at the first click, reversed at the second, the original order at the third.

  const OTHER = { ascending: "descending", descending: "ascending" };

  /** The key by which a cell is sorted; null, which is last in both directions, for an empty cell. */
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

  // ---- Columns that repeat what other columns show are hidden until a button is pressed.

  for (const button of document.querySelectorAll("button.columns")) {
    const table = button.closest(".table");
    table.classList.add("brief");
    button.addEventListener("click", () => {
      const brief = table.classList.toggle("brief");
      button.setAttribute("aria-pressed", String(!brief));
    });
  }

  // ---- All but the summary is folded, except a single part; without JavaScript and on paper everything is open.

  const folds = [...document.querySelectorAll("details.fold")];
  const partsOf = (id) => [...document.querySelectorAll(`#${id} .part`)];
  for (const part of folds) part.open = part.matches(".part") && part.parentElement.querySelectorAll(".part").length === 1;

  for (const button of document.querySelectorAll("[data-open], [data-close]")) {
    const { open, close } = button.dataset;
    button.addEventListener("click", () => partsOf(open ?? close).forEach((part) => (part.open = Boolean(open))));
  }

  /** Open the folds around the element that the address names, and scroll to it. */
  function reveal(hash) {
    const named = hash.length > 1 ? at(hash.slice(1)) : null;
    let fold = named?.closest("details.fold");
    if (!fold) return;
    for (; fold; fold = fold.parentElement.closest("details.fold")) fold.open = true;
    named.scrollIntoView();
  }

  addEventListener("hashchange", () => reveal(location.hash));
  document.addEventListener("click", (event) => reveal(event.target.closest("a[href^='#']")?.hash ?? ""));
  reveal(location.hash);

  let opened = []; // for the printer
  const openForPrinter = (printing) => {
    if (printing) opened.push(...folds.filter((fold) => !fold.open));
    for (const fold of opened) fold.open = printing;
    if (!printing) opened = [];
  };
  matchMedia("print").addEventListener("change", ({ matches }) => openForPrinter(matches));
  addEventListener("beforeprint", () => openForPrinter(true)); // the change comes after the pages are counted
  addEventListener("afterprint", () => openForPrinter(false));

  // ---- Filtering: rows whose texts, with their group's heading, have every word.

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
      if (words.length && left) body.closest("details.fold").open = true;
      shown += left;
      all += rows.length;
    }
    at("status").textContent = words.length ? `${shown} of ${all} rows.` : "";
  }

  // ---- Downloads: tables from the page's own block of files, figures from their drawings.

  for (const button of document.querySelectorAll("[data-file]")) {
    const name = button.dataset.file;
    button.addEventListener("click", async () => save(name, new Blob([(await unpack("files"))[name]])));
  }

  const DPI = 288; // of a PNG; a CSS pixel is 1/96 of an inch

  async function picture(button) {
    const image = at(button.dataset.picture).querySelector("img");
    await image.decode();
    if (button.dataset.name.endsWith(".svg")) {
      const text = atob(image.src.slice(image.src.indexOf(",") + 1));
      return new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], { type: "image/svg+xml" });
    }
    const scale = image.src.startsWith("data:image/png") ? 1 : DPI / 96;
    const canvas = element("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve));
  }

  for (const button of document.querySelectorAll("[data-picture]")) {
    button.addEventListener("click", async () => save(button.dataset.name, await picture(button)));
  }

  // ---- The contents: folded on a narrow page, with a mark at the part that is on the screen.

  const contents = at("contents");
  const narrow = matchMedia("(max-width: 63.99rem)");
  const links = [...contents.querySelectorAll("a")];
  const fold = () => (contents.open = !narrow.matches);
  narrow.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) contents.open = false;
  });

  const parts = links.map((link) => at(link.hash.slice(1)));

  function mark() {
    const reached = parts.findLastIndex((part) => part.getBoundingClientRect().top < innerHeight / 3);
    links.forEach((link, place) => {
      if (place === Math.max(reached, 0)) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }

  let marking = 0;
  document.addEventListener("scroll", () => {
    cancelAnimationFrame(marking);
    marking = requestAnimationFrame(mark);
  });

  tables.forEach(sortable);
  if (tables.length) at("filter").addEventListener("input", filter);
  mark();
})();
