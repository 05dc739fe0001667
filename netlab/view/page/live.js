// A live page: its server sends what happens, and this script puts it in its place.
(() => {
  const find = (id) => document.getElementById(id);
  const status = find("live");
  const flows = find("flows");
  // The server has escaped every text; the page's policy lets no script run that is not the page's own.
  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };

  const choose = (select, word) => {
    const options = Array.from(select.options);
    if (options.some((one) => one.value === word)) return;
    const option = document.createElement("option");
    option.textContent = word;
    select.insertBefore(option, options.find((one) => one.value > word) || null);
  };
  const choices = (row) => {
    for (const select of document.querySelectorAll("select[data-filter]")) {
      const name = select.dataset.filter;
      const value = row.dataset[name];
      for (const word of name === "outcome" || name === "path" ? value.split(" ") : [value]) choose(select, word);
    }
  };

  // A journey that is being looked at stays until another one is opened.
  const forget = (keys) => {
    for (const key of keys) {
      const row = document.querySelector(`tr[data-key="${key}"]`);
      if (row) row.remove();
    }
    for (const section of document.querySelectorAll("section.flow:not(.open)")) {
      if (!document.querySelector(`tr[data-key="${section.id}"]`)) section.remove();
    }
  };
  const meet = (met) => {
    for (const [chain, rule, html, alive] of met) {
      const table = find(chain);
      const row = table && table.querySelector(`tr[data-rule="${rule}"]`);
      if (!row) continue;
      row.classList.toggle("dead", !alive);
      row.cells[2].replaceChildren(parse(html));
    }
  };
  const unmet = (html) => {
    const place = document.querySelector("#chains .unmet");
    if (place) place.replaceChildren(parse(html));
  };

  const source = new EventSource(`events?after=${status.dataset.after}`);
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  source.addEventListener("open", () => { status.textContent = "Live: waiting for traffic."; });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) status.textContent = "The connection is lost; trying again.";
  });
  on("journey", (one) => {
    if (find(one.key)) return;
    flows.prepend(parse(one.row));
    choices(flows.querySelector("tr"));
    find("controls").after(parse(one.flow));
    meet(one.met);
    unmet(one.unmet);
    forget(one.gone);
    document.dispatchEvent(new Event("flows"));
    const skipped = one.skipped ? ` (${one.skipped} more were too many at once and are not shown)` : "";
    status.textContent = `Live. The last: ${one.title}: ${one.words}${skipped}`;
    if (find("follow").checked) location.replace(`#${one.key}`);
  });
  on("rules", (one) => { find("chains").replaceChildren(parse(one.rules)); });
  on("reload", () => location.reload());
  on("ended", (one) => {
    source.close();
    status.textContent = one.text;
  });
})();
