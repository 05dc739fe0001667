"use strict";
// Filters the matrix, and plays journeys. Everything that is shown is in the page already.
(() => {
  const find = (id) => document.getElementById(id);
  const all = (root, selector) => Array.from(root.querySelectorAll(selector));

  // The matrix: a row stays if it has the text, and every word that was chosen.
  let rows = [];
  const selects = all(document, "select[data-filter]");
  const differs = find("filter-differs");
  const MOST = 100; // rows that are laid out, until somebody asks for all
  let most = MOST;
  // The rows that are not shown are in a part of the table that is not laid out, in any order.
  const flows = find("flows"), rest = find("rest");
  const place = (list) => {
    const shown = Array.from(flows.children);
    if (shown.length === list.length && list.every((row, at) => row === shown[at])) return;
    const stay = new Set(list);
    rest.append(...shown.filter((row) => !stay.has(row)));
    flows.replaceChildren(...list);
  };
  const filter = () => {
    const words = find("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((one) => one.value).map((one) => [one.dataset.filter, one.value]);
    const found = [];
    for (const { row, text } of rows) {
      const has = ([name, value]) =>
        name === "outcome" || name === "path"
          ? row.dataset[name].split(" ").includes(value)
          : row.dataset[name] === value;
      const stays =
        words.every((word) => text.includes(word)) &&
        chosen.every(has) &&
        !(differs && differs.checked && !row.dataset.differs);
      if (stays) found.push(row);
    }
    place(found.slice(0, most));
    const count = found.length;
    const shown = count > most ? `, the first ${most} are shown` : "";
    find("count").textContent = `${count} of ${rows.length} flows${shown}`;
    find("every").hidden = count <= most;
  };
  find("every").addEventListener("click", () => { most = rows.length; filter(); });
  const form = find("filters");
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { most = MOST; setTimeout(filter, 0); });
  const collect = () => {
    const known = new Set(rows.map(({ row }) => row));
    const fresh = all(flows, "tr").filter((row) => !known.has(row));
    const read = (row) => ({ row, text: row.textContent.toLowerCase() });
    rows = [...fresh.map(read), ...rows.filter(({ row }) => row.isConnected)];
    filter();
  };
  let before = most; // printed are all that were found
  addEventListener("beforeprint", () => { before = most; most = rows.length; filter(); });
  addEventListener("afterprint", () => { most = before; filter(); });
  document.addEventListener("flows", collect); // the rows of a live page change
  collect();

  // A journey: the steps of all its sides go on together.
  let flow = null, at = -1, timer = null;
  const sides = () => all(flow, "article");
  const steps = (side) => all(side, ".steps > li");
  const length = () => Math.max(0, ...sides().map((side) => steps(side).length));

  // On a narrow screen the hooks that were passed stand one below the other, as large as they fit.
  const slim = matchMedia("screen and (max-width: 56rem)");
  const stack = (svg) => {
    if (!svg.dataset.box) svg.dataset.box = svg.getAttribute("viewBox");
    svg.classList.toggle("stacked", slim.matches);
    const stages = all(svg, "g[data-stage]");
    stages.forEach((one) => one.removeAttribute("transform"));
    let [, , width, height] = svg.dataset.box.split(" ").map(Number);
    if (slim.matches && stages.length) {
      const order = (one) => Number(one.dataset.stage);
      stages.sort((a, b) => order(a) - order(b));
      const boxes = stages.map((one) => [one, one.getBBox()]);
      width = height = 0;
      for (const [one, box] of boxes) {
        one.setAttribute("transform", `translate(${4 - box.x} ${height + 8 - box.y})`);
        width = Math.max(width, box.width + 8);
        height += box.height + 14;
      }
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
  };
  const fit = () => { if (flow) all(flow, "svg").forEach(stack); };
  slim.addEventListener("change", fit);

  const walk = (side, list, now) => {
    const place = side.querySelector(".walked");
    if (!place) return;
    const shown = document.createDocumentFragment();
    const keys = new Set();
    const step = list[now];
    // The chains of this hook so far, each whole, with what was met in it.
    for (const one of list.slice(0, now + 1)) {
      if (step && one.dataset.stage === step.dataset.stage && one.dataset.chain) keys.add(one.dataset.chain);
    }
    for (const key of Array.from(keys).reverse()) {
      const table = find(key).cloneNode(true);
      table.removeAttribute("id");
      for (const one of list.slice(0, now + 1)) {
        if (one.dataset.chain !== key || one.dataset.stage !== step.dataset.stage) continue;
        const row = table.querySelector(`tr[data-rule="${one.dataset.rule || "policy"}"]`);
        if (row) row.classList.add("met");
        if (row && one === step) row.classList.add("now");
      }
      shown.append(table);
    }
    place.replaceChildren(shown);
  };

  const show = (number) => {
    if (!flow) return;
    at = Math.min(Math.max(number, -1), length() - 1);
    const told = [];
    for (const side of sides()) {
      const list = steps(side);
      const now = Math.min(at, list.length - 1);
      list.forEach((one, index) => {
        one.classList.toggle("now", index === now);
        if (index === now) {
          one.setAttribute("aria-current", "step");
          one.parentElement.scrollTop = one.offsetTop - one.parentElement.offsetTop - 40;
        } else one.removeAttribute("aria-current");
      });
      const stage = now >= 0 ? list[now].dataset.stage : "";
      all(side, "g[data-stage]").forEach((one) => one.classList.toggle("now", one.dataset.stage === stage));
      walk(side, list, now);
      if (now >= 0) told.push(list[now].textContent.trim());
    }
    find("now").textContent = at < 0 ? "" : `Step ${at + 1} of ${length()}: ${told.join(" | ")}`;
  };

  const pause = () => {
    clearInterval(timer);
    timer = null;
    find("play").textContent = "▶ Play";
  };
  const go = (by) => { pause(); show(at + by); };
  const play = () => {
    if (timer) { pause(); return; }
    if (at >= length() - 1) show(-1);
    show(at + 1);
    find("play").textContent = "⏸ Pause";
    timer = setInterval(() => {
      if (at >= length() - 1) pause();
      else show(at + 1);
    }, 1200);
  };

  const open = (section) => {
    pause();
    if (flow) flow.classList.remove("open");
    flow = section;
    flow.classList.add("open");
    find("controls").hidden = false;
    find("hint").hidden = true;
    fit();
    show(-1);
    flow.focus({ preventScroll: true });
    find("journeys").scrollIntoView();
  };
  const followed = () => {
    const target = find(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.classList.contains("flow")) open(target);
    const closed = target.closest("details");
    if (closed) { closed.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", followed);
  find("play").addEventListener("click", play);
  find("back").addEventListener("click", () => go(-1));
  find("next").addEventListener("click", () => go(1));

  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing) return;
    const keys = {
      "/": () => find("filter-text").focus(),
      k: play,
      j: () => go(-1),
      l: () => go(1),
      Escape: () => {
        pause();
        const row = flow && document.querySelector(`tr[data-key="${flow.id}"] a`);
        if (row) { row.focus(); row.scrollIntoView({ block: "center" }); }
      },
    };
    if (!(event.key in keys) || (!flow && event.key !== "/")) return;
    event.preventDefault();
    keys[event.key]();
  });
  followed();
})();
