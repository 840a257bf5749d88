// Sorts the tables, and filters that of results; without it the page says the same, in one order.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column], number = cell.dataset.value;
    return number === undefined ? cell.textContent.trim() : Number(number);
  };
  const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });

  for (const table of document.querySelectorAll("table.sorts")) {
    const headers = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        // Numbers begin with the largest, which is what one looks for.
        const first = header.classList.contains("number") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = header.getAttribute("aria-sort") === first ? other : first;
        headers.forEach(each => each.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        table.tBodies[0].append(...rows.sort((a, b) => sign * compare(value(a, column), value(b, column))));
      });
    });
  }

  const table = document.getElementById("results"), controls = document.getElementById("controls");
  if (!table) return;
  const count = table.tBodies[0].rows.length;
  const [generator, words] = [document.getElementById("generator"), document.getElementById("words")];
  const shown = document.getElementById("shown");

  const filter = () => {
    const wanted = words.value.trim().toLowerCase();
    let fitting = 0;
    for (const each of document.querySelectorAll("[data-generator]")) {
      const fits = (!generator.value || each.dataset.generator === generator.value) &&
        (!wanted || each.dataset.words.toLowerCase().includes(wanted));
      each.hidden = !fits;
      if (fits && each.localName === "tr") fitting += 1;
    }
    for (const sheet of document.querySelectorAll(".sheet")) sheet.hidden = !sheet.querySelector("[data-generator]:not([hidden])");
    shown.textContent = `${fitting} of ${count}`;
  };
  generator.addEventListener("change", filter);
  words.addEventListener("input", filter);
  controls.hidden = false;
  filter();
})();
