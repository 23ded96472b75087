(async () => {
  if (!at("browser")) return;
  const PAGE = 20; // prompts that are listed at once
  const SEARCH_AFTER = 250; // milliseconds without a key

  const sections = await unpack("samples-index");
  const runs = sections.flatMap((section, place) => section.runs.map((run) => Object.assign(run, { section: place })));
  const view = { section: 0, run: null, result: "any", words: [], page: 0, open: null };
  let matches = []; // places of prompts in the section
  let turn = 0; // the latest request; an earlier one that comes to its end later is dropped

  const count = (number) => number.toLocaleString("en");
  const section = () => sections[view.section];
  const baselineOf = (run) => (run.baseline === null ? null : runs[run.baseline]);

  // ---- The result of a sample; a score of -1 means that the run does not have the sample.

  const has = (run, place) => run.score[place] !== -1;
  const scored = (run, place) => has(run, place) && run.score[place] !== null;

  /** A score minus the baseline's on the same prompt; null without both. */
  function difference(run, place) {
    const baseline = baselineOf(run);
    if (!baseline || baseline === run || !scored(run, place) || !scored(baseline, place)) return null;
    return run.score[place] - baseline.score[place];
  }

  const RESULTS = {
    any: ["any", () => true],
    right: ["right", (run, place) => run.score[place] === 1],
    wrong: ["wrong", (run, place) => run.score[place] === 0],
    part: ["right in part", (run, place) => run.score[place] > 0 && run.score[place] < 1],
    flipped: ["flipped against the baseline", (run, place) => Boolean(difference(run, place))],
    lost: ["lost against the baseline", (run, place) => difference(run, place) < 0],
    gained: ["gained against the baseline", (run, place) => difference(run, place) > 0],
    unscored: ["not scored", (run, place) => has(run, place) && run.score[place] === null],
    traced: ["with a trace to watch", (run, place) => place in run.traces],
  };

  // ---- Texts, unpacked when they are needed.

  function blockOf(place) {
    const { blocks } = section();
    return blocks[blocks.findLastIndex(([start]) => start <= place)];
  }

  async function textsOf(place) {
    const [start, block] = blockOf(place);
    return (await unpack(`block-${block}`))[place - start];
  }

  const shownRuns = () => (view.run === null ? section().runs : [runs[view.run]]);

  async function hasWords(place) {
    const [prompt, target, ...texts] = await textsOf(place);
    const wanted = section().runs.flatMap((run, number) =>
      texts[number] && (view.run === null || run === runs[view.run]) ? texts[number][0] : [],
    );
    const text = [section().ids[place], prompt, target, ...wanted].join("\n").toLowerCase();
    return view.words.every((word) => text.includes(word));
  }

  // ---- Selecting samples.

  async function choose() {
    const mine = ++turn;
    const [, fits] = RESULTS[view.result];
    const own = shownRuns();
    const places = section().ids.map((_, place) => place);
    let left = places.filter((place) => own.some((run) => has(run, place) && fits(run, place)));
    if (view.words.length) {
      at("found").textContent = "Searching …";
      const kept = [];
      for (const place of left) {
        if (await hasWords(place)) kept.push(place);
        if (mine !== turn) return;
      }
      left = kept;
    }
    matches = left;
    await show(mine);
  }

  async function show(mine = ++turn) {
    view.page = Math.max(0, Math.min(view.page, Math.ceil(matches.length / PAGE) - 1));
    const first = view.page * PAGE;
    const places = matches.slice(first, first + PAGE);
    const texts = await Promise.all(places.map(textsOf));
    const opened = places.includes(view.open) ? await panel(view.open) : null;
    if (mine !== turn) return;
    at("problems").start = first + 1;
    at("problems").replaceChildren(
      ...places.map((place, number) => item(place, texts[number][0], place === view.open ? opened : null)),
    );
    const all = section().ids.length;
    at("found").textContent = places.length
      ? `Prompts ${count(first + 1)} to ${count(first + places.length)} of ${count(matches.length)}` +
        (matches.length < all ? ` (of ${count(all)} in all).` : ".")
      : `No prompt of ${count(all)} fits.`;
    at("pages").hidden = matches.length <= PAGE;
    at("earlier").disabled = first === 0;
    at("later").disabled = first + PAGE >= matches.length;
  }

  // ---- A prompt in the list.

  const snippet = (text) => text.replace(/<\|[^|]*\|>/g, " ").replace(/\s+/g, " ").trim().slice(0, 140);

  /** The results of the selected runs, in a few words. */
  function verdict(place) {
    const own = shownRuns().filter((run) => has(run, place));
    if (view.run !== null) return own.length ? outcome(runs[view.run], place) : "";
    const known = own.filter((run) => run.score[place] !== null);
    const right = known.filter((run) => run.score[place] === 1).length;
    const partly = known.some((run) => run.score[place] > 0 && run.score[place] < 1);
    const scores = partly
      ? `mean score ${(known.reduce((sum, run) => sum + run.score[place], 0) / known.length).toFixed(2)}`
      : `${right} of ${known.length} right`;
    const flips = own.map((run) => difference(run, place));
    const [lost, gained] = [flips.filter((by) => by < 0).length, flips.filter((by) => by > 0).length];
    return [scores, lost && `${lost} lost`, gained && `${gained} gained`].filter(Boolean).join(", ");
  }

  function outcome(run, place) {
    const score = run.score[place];
    if (score === null) return "not scored";
    const named = { 0: "✗ wrong", 1: "✓ right" }[score] ?? `score ${Number(score.toFixed(3))}`;
    const by = difference(run, place);
    return by ? `${named}, ${by < 0 ? "lost" : "gained"}` : named;
  }

  function item(place, prompt, opened) {
    const button = element("button", { type: "button", "aria-expanded": String(opened !== null), dir: "auto" });
    button.append(
      element("span", { class: "id", dir: "auto" }, section().ids[place]),
      element("span", { class: "snippet", dir: "auto" }, snippet(prompt)),
      element("span", { class: "verdict" }, verdict(place)),
    );
    const made = element("li", {}, button, ...(opened ? [opened] : []));
    button.addEventListener("click", () => toggle(place, made, button));
    return made;
  }

  async function toggle(place, listed, button) {
    const closing = view.open === place;
    for (const other of at("problems").querySelectorAll(".panel")) {
      other.previousElementSibling.setAttribute("aria-expanded", "false");
      other.remove();
    }
    view.open = closing ? null : place;
    if (closing) return;
    button.setAttribute("aria-expanded", "true");
    const opened = await panel(place);
    if (view.open === place && listed.isConnected && !listed.querySelector(".panel")) listed.append(opened);
    history.replaceState(null, "", `#sample-${view.section + 1}-${place + 1}`);
  }

  // ---- One prompt: its answers under all policies, side by side.

  function block(title, text) {
    return [element("p", { class: "term" }, title), element("pre", { dir: "auto", tabindex: "0", "aria-label": title }, text)];
  }

  const UNITS = [[1e18, "EFLOPs"], [1e15, "PFLOPs"], [1e12, "TFLOPs"], [1e9, "GFLOPs"], [1e6, "MFLOPs"]];

  function flops(value) {
    const [size, unit] = UNITS.find(([least]) => value >= least) ?? [1, "FLOPs"];
    return `${Number((value / size).toPrecision(3))} ${unit}`;
  }

  function change(run, place, column) {
    const baseline = baselineOf(run);
    if (!baseline || baseline === run || !has(baseline, place) || !baseline[column][place]) return "";
    const by = Math.round(100 * (run[column][place] / baseline[column][place] - 1));
    return ` (${by > 0 ? "+" : by < 0 ? "−" : ""}${Math.abs(by)}%)`;
  }

  function facts(run, place, [answers, found, reason]) {
    const pairs = [
      ["canvas", count(run.n_token[place])],
      ["answer", count(run.e_token[place])],
      ["NFE", count(run.nfe[place])],
      ["FLOPs", flops(run.flops[place]) + change(run, place, "flops")],
    ];
    const extracted = found.filter((text) => text !== null);
    if (extracted.length && extracted.join() !== answers.join()) pairs.push(["scored", extracted.join(" | ")]);
    if (reason) pairs.push(["reason", reason]);
    const parts = pairs.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", { dir: "auto" }, value)));
    return element("dl", {}, ...parts);
  }

  /** The answers, or a reference to a card that has the same ones. */
  function answersOf(answers, run, seen) {
    const key = JSON.stringify(answers);
    if (seen.has(key)) return [element("p", { class: "same" }, "Same text as ", element("span", { dir: "auto" }, seen.get(key)), ".")];
    seen.set(key, run.label);
    return answers.flatMap((text, place) => block(answers.length > 1 ? `Answer ${place + 1}` : "Answer", text));
  }

  async function traceLink(run, place) {
    if (!(place in run.traces)) return [];
    const page = new Blob([await unpack(`block-${run.traces[place]}`)], { type: "text/html" });
    const link = element("a", { href: URL.createObjectURL(page), target: "_blank" }, "Watch it being denoised");
    return [element("p", { class: "trace" }, link)];
  }

  async function card(run, place, texts, seen) {
    const score = run.score[place];
    const kind = score === null ? "unscored" : score === 1 ? "right" : score === 0 ? "wrong" : "part";
    const baseline = baselineOf(run) === run ? " · baseline" : "";
    const title = element("h3", {}, element("span", { dir: "auto" }, run.label), element("small", {}, `${outcome(run, place)}${baseline}`));
    const [answers, , , prompt] = texts;
    const own = prompt === undefined ? [] : block("Prompt of this run", prompt);
    return element(
      "article",
      { class: `${kind}${view.run !== null && run === runs[view.run] ? " chosen" : ""}` },
      ...[title, facts(run, place, texts), ...own, ...answersOf(answers, run, seen), ...(await traceLink(run, place))],
    );
  }

  async function panel(place) {
    const [prompt, target, ...texts] = await textsOf(place);
    const seen = new Map();
    const cards = [];
    // A selected policy comes right after the baseline, of which there can be one per seed.
    const chosen = view.run === null ? null : runs[view.run];
    const rank = (run) => (chosen && run === baselineOf(chosen) ? 0 : run === chosen ? 1 : 2);
    const ordered = [...section().runs.entries()].sort(([, a], [, b]) => rank(a) - rank(b));
    for (const [number, run] of ordered) {
      if (texts[number]) cards.push(await card(run, place, texts[number], seen));
    }
    const asked = element("div", { class: "asked" });
    asked.append(element("div", {}, ...block("Prompt", prompt)), element("div", {}, ...block("Reference", target)));
    return element("div", { class: "panel" }, asked, element("div", { class: "cards" }, ...cards));
  }

  // ---- Filters.

  function options(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, title]) => element("option", { value }, title)));
    select.value = chosen;
  }

  function offer() {
    const places = section().ids.map((_, place) => place);
    const met = Object.entries(RESULTS).filter(
      ([name, [, fits]]) => name === "any" || section().runs.some((run) => places.some((place) => has(run, place) && fits(run, place))),
    );
    if (!met.some(([name]) => name === view.result)) view.result = "any";
    const numbered = section().runs.map((run) => [String(runs.indexOf(run)), run.label]);
    options(at("by-section"), sections.map(({ title }, place) => [String(place), title]), String(view.section));
    options(at("by-run"), [["", "any"], ...numbered], view.run === null ? "" : String(view.run));
    options(at("by-result"), met.map(([name, [title]]) => [name, title]), view.result);
  }

  function set(changes) {
    Object.assign(view, { page: 0, open: null }, changes);
    if (view.run !== null && runs[view.run].section !== view.section) view.run = null;
    offer();
    return choose();
  }

  at("by-section").addEventListener("change", (event) => set({ section: Number(event.target.value), run: null }));
  at("by-run").addEventListener("change", ({ target }) => set({ run: target.value === "" ? null : Number(target.value) }));
  at("by-result").addEventListener("change", (event) => set({ result: event.target.value }));
  let typing = 0;
  at("by-text").addEventListener("input", (event) => {
    clearTimeout(typing);
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    typing = setTimeout(() => set({ words }), SEARCH_AFTER);
  });
  at("browser").addEventListener("submit", (event) => event.preventDefault());

  function turnPage(by) {
    view.page += by;
    view.open = null;
    return show();
  }

  at("earlier").addEventListener("click", () => turnPage(-1));
  at("later").addEventListener("click", () => turnPage(1));

  /** Show the run or the sample that the address names. */
  async function follow() {
    const [kind, first, second] = location.hash.slice(1).split("-");
    if (kind === "run" && runs[first - 1]) {
      at("by-text").value = "";
      await set({ section: runs[first - 1].section, run: first - 1, result: "any", words: [] });
      at("samples").scrollIntoView();
    } else if (kind === "sample" && sections[first - 1]?.ids[second - 1] !== undefined) {
      at("by-text").value = "";
      const place = second - 1;
      await set({ section: first - 1, run: null, result: "any", words: [], page: Math.floor(place / PAGE), open: place });
      at("problems").querySelector(".panel")?.parentElement.scrollIntoView();
    } else return false;
    return true;
  }

  // Without JavaScript such an address leads to the run's folder below; here it leads to its samples.
  for (const run of document.querySelectorAll("#about [id^=run-]")) run.removeAttribute("id");
  addEventListener("hashchange", follow);
  if (!(await follow())) await set({});
})();
