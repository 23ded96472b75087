"use strict";
(() => {
  const trace = JSON.parse(document.getElementById("trace").textContent);
  const frames = trace.frames;
  const at = (id) => document.getElementById(id);
  const PLAY_MS = 125;
  const CELL_PX = 66;
  const ROW_PX = 26; // as in page.css

  // ---- Unpacking the frames; docs/trace.md describes their keys.

  function positions(gaps) {
    let position = 0;
    return gaps.map((gap) => (position += gap));
  }

  function permille(text, place) {
    return parseInt(text.substr(2 * place, 2), 36) / 1000;
  }

  function unpack() {
    let ids = Int32Array.from(trace.first);
    let guesses = new Int32Array(ids.length).fill(-1);
    let fresh = new Uint8Array(ids.length);
    for (const frame of frames) {
      const length = ids.length;
      positions(frame.p).forEach((position, place) => (guesses[position] = frame.q[place]));
      Object.assign(frame, { ids, fresh, guesses: guesses.slice(), now: new Uint8Array(length), dropped: new Uint8Array(length) });
      const filled = ids.slice();
      positions(frame.c).forEach((position, place) => {
        filled[position] = frame.t[place];
        frame.now[position] = 1;
      });
      frame.filled = filled;
      frame.changes = frame.ch || [];
      frame.reused = new Uint8Array(length);
      if (frame.x) {
        frame.reused.fill(1);
        for (const position of positions(frame.x)) frame.reused[position] = 0;
      }
      if (frame.r) {
        const total = frame.r.reduce((sum, run) => sum + run[1], 0);
        const before = guesses;
        [ids, guesses, fresh] = [new Int32Array(total), new Int32Array(total).fill(-1), new Uint8Array(total)];
        frame.dropped.fill(1);
        let place = 0;
        for (const [from, count, token] of frame.r) {
          if (from < 0) {
            ids.fill(token, place, place + count);
            fresh.fill(1, place, place + count);
          } else {
            ids.set(filled.subarray(from, from + count), place);
            guesses.set(before.subarray(from, from + count), place);
            frame.dropped.fill(0, from, from + count);
          }
          place += count;
        }
      } else {
        ids = filled;
        fresh = new Uint8Array(length);
      }
      frame.after = ids.length;
      frame.done = ids.reduce((sum, id) => sum + (id !== trace.mask), 0);
    }
  }

  const percent = (value) => (value === undefined ? "–" : (100 * value).toFixed(1) + "%");
  const text = (id) => trace.texts[id] ?? "";
  const changeText = ([kind, position, before, after]) => `${kind} at ${position}: length ${before} → ${after}`;

  // ---- Building elements; text is only set by textContent.

  function element(name, attributes = {}, content = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = content;
    return made;
  }

  function shape(name, attributes, content = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = content;
    return made;
  }

  function list(target, pairs) {
    target.replaceChildren(
      ...pairs.map(([term, value]) => {
        const pair = element("div");
        pair.append(element("dt", {}, term), element("dd", {}, value));
        return pair;
      }),
    );
  }

  // ---- The timeline.

  const MARKS = { insert: "▲", append: "+", remove: "▽", crop: "▼" };
  const EDGE = { left: 34, right: 12, top: 14, bottom: 18 };
  let cursor = null;

  const sizes = {}; // measured only when the window changes, as measuring costs a layout of the whole canvas

  function measure() {
    for (const id of ["timeline", "eos"]) {
      const [width, height] = [at(id).clientWidth, at(id).clientHeight];
      at(id).setAttribute("viewBox", `0 0 ${width} ${height}`);
      sizes[id] = { width: width - EDGE.left - EDGE.right, bottom: height - EDGE.bottom, height: height - EDGE.top - EDGE.bottom };
    }
    const fitting = Math.max(4, Math.floor((at("canvas").clientWidth - 40) / CELL_PX));
    columns = fitting >= 8 ? fitting - (fitting % 8) : 4; // blocks are mostly multiples of 8
    at("canvas").style.gridTemplateColumns = `2.5rem repeat(${columns}, minmax(0, 1fr))`;
    at("canvas").replaceChildren();
    cells.length = 0;
    sizes.canvas = Number.parseFloat(getComputedStyle(at("canvas")).maxHeight);
  }

  const forwardX = (size, index) => EDGE.left + (frames.length < 2 ? 0.5 : index / (frames.length - 1)) * size.width;

  function drawTimeline() {
    const svg = at("timeline");
    const size = sizes.timeline;
    const longest = Math.max(1, ...frames.map((frame) => Math.max(frame.ids.length, frame.after)));
    const y = (length) => size.bottom - (length / longest) * size.height;
    const x = (index) => forwardX(size, index);
    const parts = [
      shape("line", { class: "grid", x1: EDGE.left, x2: EDGE.left + size.width, y1: y(longest), y2: y(longest) }),
      shape("text", { x: EDGE.left - 5, y: y(longest) + 4, "text-anchor": "end" }, longest),
      shape("text", { x: EDGE.left - 5, y: size.bottom + 3, "text-anchor": "end" }, "0"),
      shape("text", { x: EDGE.left, y: size.bottom + 13 }, "1"),
      shape("text", { x: EDGE.left + size.width, y: size.bottom + 13, "text-anchor": "end" }, frames.length),
    ];
    let done = `M${x(0)},${size.bottom}`;
    let length = "";
    frames.forEach((frame, index) => {
      done += `L${x(index)},${y(frame.done)}`;
      length += `${index ? "H" + x(index) + "V" : "M" + x(0) + ","}${y(frame.ids.length)}`;
    });
    const last = frames[frames.length - 1];
    parts.push(shape("path", { class: "done", d: `${done}L${x(frames.length - 1)},${size.bottom}Z` }));
    parts.push(shape("path", { class: "length", d: `${length}V${y(last.after)}` }));
    frames.forEach((frame, index) => {
      if (frame.probe) parts.push(shape("text", { class: "mark m-probe", x: x(index), y: size.bottom - 3 }, "○"));
      if (frame.s) parts.push(shape("text", { class: "mark m-stop", x: x(index), y: size.bottom - 3 }, "■"));
      for (const [kind, , before, after] of frame.changes) {
        const top = y(Math.max(before, after)) - 3;
        parts.push(shape("text", { class: `mark m-${kind}`, x: x(index), y: top }, MARKS[kind]));
      }
    });
    cursor = shape("line", { class: "cursor", y1: EDGE.top - 8, y2: size.bottom + 3 });
    svg.replaceChildren(...parts, cursor);
    placeCursor();
  }

  function placeCursor() {
    const x = forwardX(sizes.timeline, current);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
  }

  // ---- The canvas.

  let columns = 8;
  const partial = frames.some((frame) => frame.x); // whether a cache was read
  const cells = []; // {cell, look} for each position; an element is changed only if its look changes

  /** Add or remove cells up to `length`; each row begins with the number of its first position. */
  function layOut(length) {
    const grid = at("canvas");
    while (cells.length > length) {
      grid.lastChild.remove();
      if (cells.length % columns === 1) grid.lastChild.remove();
      cells.pop();
    }
    const added = document.createDocumentFragment();
    while (cells.length < length) {
      const position = cells.length;
      if (position % columns === 0) added.append(element("span", { class: "row", "aria-hidden": "true" }, position));
      const cell = element("span", { "data-position": position });
      cells.push({ cell, look: "" });
      added.append(cell);
    }
    grid.append(added);
  }

  /** The class of each side of a cell that is an edge of the window. */
  function outline(position, start, end) {
    return [
      ["in-top", position - columns < start],
      ["in-bottom", position + columns >= end],
      ["in-first", position === start],
      ["in-last", position === end - 1],
    ].flatMap(([name, edge]) => (edge ? [name] : []));
  }

  function drawCanvas(frame) {
    layOut(frame.ids.length);
    const [start, end] = frame.w || [0, 0];
    const expanded = new Set(frame.changes.filter(([kind]) => kind === "insert").map(([, position]) => position));
    const shades = frame[at("shade").value];
    const guessing = at("guesses").checked;
    let mask = 0;
    frame.ids.forEach((id, position) => {
      const masked = id === trace.mask;
      const open = masked && !frame.now[position];
      const shown = frame.filled[position];
      const classes = ["c"];
      if (open) classes.push("mask");
      if (frame.now[position]) classes.push("now");
      else if (trace.ends.includes(shown)) classes.push("end");
      if (frame.fresh[position]) classes.push("new");
      if (position >= start && position < end) classes.push(...outline(position, start, end));
      if (expanded.has(position)) classes.push("expand");
      if (frame.dropped[position]) classes.push("dropped");
      if (frame.reused[position]) classes.push("reused");
      const content = open ? text(guessing ? frame.guesses[position] : trace.mask) : text(shown);
      const share = open ? permille(shades, mask) : 0;
      if (masked) mask++;
      paint(cells[position], classes.join(" "), content, share);
    });
  }

  function paint(entry, classes, content, share) {
    const look = `${classes} ${share} ${content}`;
    if (entry.look === look) return;
    entry.look = look;
    entry.cell.className = classes;
    entry.cell.textContent = content;
    entry.cell.style.setProperty("--p", share);
  }

  /** Scroll to the start of the window if the canvas does not fit. */
  function follow(frame) {
    if (!frame.w || Math.ceil(frame.ids.length / columns) * ROW_PX <= sizes.canvas) return;
    const row = Math.floor(frame.w[0] / columns) * ROW_PX;
    const shown = at("canvas").scrollTop;
    if (row < shown || row + ROW_PX > shown + sizes.canvas) at("canvas").scrollTop = row - ROW_PX;
  }

  function describe(position) {
    const frame = frames[current];
    if (position === undefined || position >= frame.ids.length) return "Point at a token for its numbers.";
    if (frame.ids[position] !== trace.mask) return `Position ${position}: ${text(frame.ids[position])}, committed earlier.`;
    let place = 0;
    for (let before = 0; before < position; before++) place += frame.ids[before] === trace.mask;
    const state = frame.now[position] ? `committed now as ${text(frame.filled[position])}` : "mask";
    const numbers = `predicts ${text(frame.guesses[position])} with ${permille(frame.m, place).toFixed(3)}`;
    const fate = frame.dropped[position] ? ", dropped next" : "";
    const age = frame.reused[position] ? " (last computed in an earlier forward)" : "";
    return `Position ${position}: ${state}, ${numbers}; p(EOS) ${permille(frame.e, place).toFixed(3)}${age}${fate}.`;
  }

  // ---- EOS by position.

  function drawEos(frame) {
    const svg = at("eos");
    const size = sizes.eos;
    const length = Math.max(1, frame.ids.length);
    const x = (position) => EDGE.left + (position / length) * size.width;
    const y = (probability) => size.bottom - probability * size.height;
    const parts = [
      shape("line", { class: "grid", x1: EDGE.left, x2: EDGE.left + size.width, y1: y(1), y2: y(1) }),
      shape("text", { x: EDGE.left - 5, y: y(1) + 4, "text-anchor": "end" }, "1"),
      shape("text", { x: EDGE.left - 5, y: y(0) + 3, "text-anchor": "end" }, "0"),
      shape("text", { x: EDGE.left, y: size.bottom + 13 }, "0"),
      shape("text", { x: EDGE.left + size.width, y: size.bottom + 13, "text-anchor": "end" }, frame.ids.length),
    ];
    if (frame.w) {
      const [start, end] = frame.w;
      parts.push(shape("rect", { class: "band", x: x(start), width: x(end) - x(start), y: y(1), height: size.height }));
    }
    let bars = "";
    let mask = 0;
    frame.ids.forEach((id, position) => {
      if (id !== trace.mask) return;
      bars += `M${x(position)},${y(0)}V${y(permille(frame.e, mask++))}H${x(position + 1)}V${y(0)}Z`;
    });
    parts.push(shape("path", { class: "bar", d: bars }));
    if (frame.f) {
      let curve = `M${x(0)},${y(0)}`;
      for (let place = 0; place < frame.ids.length; place++) curve += `L${x(place + 1)},${y(permille(frame.f, place))}`;
      parts.push(shape("path", { class: "cdf", d: curve }));
      if (trace.tau !== null) {
        parts.push(shape("line", { class: "tau", x1: EDGE.left, x2: EDGE.left + size.width, y1: y(trace.tau), y2: y(trace.tau) }));
      }
    }
    const crop = frame.changes.find(([kind]) => kind === "crop");
    if (crop) parts.push(shape("line", { class: "crop-line", x1: x(crop[3]), x2: x(crop[3]), y1: y(1) - 6, y2: y(0) }));
    at("cdf-key").hidden = !frame.f;
    at("tau-key").hidden = !frame.f || trace.tau === null;
    at("crop-key").hidden = !crop;
    svg.replaceChildren(...parts);
  }

  // ---- Moving.

  let current = 0;
  let player = null;
  let settling = null;
  let pointed;

  function show(index) {
    current = Math.min(Math.max(index, 0), frames.length - 1);
    const frame = frames[current];
    drawCanvas(frame);
    follow(frame);
    drawEos(frame);
    placeCursor();
    const length = frame.ids.length;
    const now = frame.c.length;
    list(at("numbers"), [
      ["forward", `${current + 1} of ${frames.length}${frame.probe ? " (probe)" : ""}`],
      ["length", frame.after === length ? `${length}` : `${length} → ${frame.after}`],
      ["committed", `${frame.done} of ${frame.after} (+${now})`],
      ["window", frame.w ? `${frame.w[0]} to ${frame.w[1] - 1}` : "–"],
      ...(partial ? [["computed", frame.x ? `${frame.x.length} of ${length}` : `all ${length}`]] : []),
      ...(frame.s ? [["ended by", frame.s.join(", ")]] : []),
      ["masks that predict EOS", percent(frame.d)],
      [`mean p(EOS), last ${trace.tail}`, percent(frame.l)],
    ]);
    at("slider").value = current + 1;
    at("slider").setAttribute("aria-valuetext", `forward ${current + 1} of ${frames.length}`);
    at("cell").textContent = describe(pointed);
    clearTimeout(settling);
    if (player === null) settling = setTimeout(settle, 150); // not for every frame while a key is held or frames are playing
    const changes = frame.changes.map(changeText).join("; ");
    const said = [changes && `After this forward: ${changes}.`, frame.s && `Ended by ${frame.s.join(", ")}.`];
    at("status").dataset.said = said.filter(Boolean).join(" ");
    if (player !== null) at("status").textContent = "";
  }

  function settle() {
    const frame = frames[current];
    history.replaceState(null, "", `#${current + 1}`);
    const said = at("status").dataset.said || "No change of the length.";
    at("status").textContent = `Forward ${current + 1}${frame.probe ? ", a probe" : ""}: ${frame.c.length} committed. ${said}`;
  }

  function pause() {
    clearInterval(player);
    player = null;
    at("play").textContent = "Play";
    settle();
  }

  function toggle() {
    if (player !== null) return pause();
    if (current === frames.length - 1) show(0);
    at("play").textContent = "Pause";
    player = setInterval(() => {
      if (current < frames.length - 1) show(current + 1);
      if (current === frames.length - 1) pause();
    }, PLAY_MS);
  }

  function go(index) {
    if (player !== null) pause();
    show(index);
  }

  function jump(step) {
    let index = current + step;
    while (index >= 0 && index < frames.length && !frames[index].changes.length) index += step;
    if (index >= 0 && index < frames.length) return go(index);
    clearTimeout(settling);
    settle();
    at("status").textContent = `No ${step > 0 ? "later" : "earlier"} change of the length.`;
  }

  function key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || at("help").open) return;
    const native = event.target.closest("button, select, summary, input[type=checkbox]");
    const choosing = event.target.closest("select");
    const step = event.shiftKey ? 10 : 1;
    const acts = {
      ArrowLeft: () => go(current - step),
      ArrowRight: () => go(current + step),
      Home: () => go(0),
      End: () => go(frames.length - 1),
      " ": toggle,
      e: () => jump(event.shiftKey ? -1 : 1),
      "?": () => at("help").showModal(),
    };
    const act = acts[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (!act || choosing || (native && event.key === " ")) return;
    event.preventDefault();
    act();
  }

  function fromHash() {
    const wanted = Number.parseInt(location.hash.slice(1), 10);
    return Number.isInteger(wanted) ? wanted - 1 : 0;
  }

  // ---- Beginning.

  unpack();
  list(at("facts"), trace.facts);
  const parameters = Object.entries(trace.policy).filter(([name]) => name !== "name");
  list(at("policy"), parameters.map(([name, value]) => [name, value === null ? "–" : String(value)]));
  at("prompt").textContent = trace.prompt;
  at("answer").textContent = trace.answer;
  at("tau-key").append(`tau ${trace.tau}`);
  at("reused-key").hidden = !partial; // the same for the whole trace, so that the layout does not jump between forwards
  at("stop-key").hidden = !frames.some((frame) => frame.s);
  at("slider").max = frames.length;
  at("slider").addEventListener("input", (event) => go(Number(event.target.value) - 1));
  at("first").addEventListener("click", () => go(0));
  at("back").addEventListener("click", () => go(current - 1));
  at("play").addEventListener("click", toggle);
  at("next").addEventListener("click", () => go(current + 1));
  at("last").addEventListener("click", () => go(frames.length - 1));
  at("event").addEventListener("click", () => jump(1));
  at("ask").addEventListener("click", () => at("help").showModal());
  at("guesses").addEventListener("change", () => show(current));
  at("shade").addEventListener("change", () => show(current));
  at("canvas").addEventListener("mouseover", (event) => {
    const position = event.target.dataset.position;
    if (position !== undefined) at("cell").textContent = describe((pointed = Number(position)));
  });
  at("timeline").addEventListener("click", (event) => {
    const share = (event.clientX - at("timeline").getBoundingClientRect().left - EDGE.left) / sizes.timeline.width;
    go(Math.round(share * (frames.length - 1)));
  });
  document.addEventListener("keydown", key);
  addEventListener("hashchange", () => go(fromHash()));
  addEventListener("resize", () => {
    measure();
    drawTimeline();
    show(current);
  });
  measure();
  current = Math.min(Math.max(fromHash(), 0), frames.length - 1);
  drawTimeline();
  show(current);
})();
