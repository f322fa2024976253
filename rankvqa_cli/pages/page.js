"use strict";
(() => {
  const documents = new Map();
  for (const element of document.querySelectorAll('script[type="application/json"]')) {
    documents.set(element.id, JSON.parse(element.textContent));
  }

  // A pointer such as #score/results/0/frames.
  const at = (pointer) => {
    const [source, ...steps] = pointer.slice(1).split("/");
    const clean = (step) => step.replaceAll("~1", "/").replaceAll("~0", "~");
    return steps.map(clean).reduce((value, step) => value?.[step], documents.get(source));
  };

  // A slider under a plot says what each frame has; the keyboard moves it as any slider.
  for (const holder of document.querySelectorAll(".scrub")) {
    const frames = at(holder.dataset.frames);
    if (!frames?.length) continue;
    const area = holder.parentElement.querySelector(".area");
    const cursor = document.createElement("span");
    cursor.className = "cursor";
    cursor.hidden = true;
    area.append(cursor);
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: frames.length - 1, value: 0 });
    slider.setAttribute("aria-label", holder.dataset.label);
    const said = document.createElement("output");
    said.textContent = "Move along the plot, or the slider, to read single frames.";
    holder.append(slider, said);
    const first = frames[0].pts_time;
    const length = frames[frames.length - 1].pts_time - first || 1;
    const show = (place) => {
      const frame = frames[place];
      const words = `frame ${frame.index} at ${frame.pts_time.toFixed(2)} s: ${frame.score.toFixed(2)}`;
      slider.value = place;
      slider.setAttribute("aria-valuetext", words);
      said.textContent = words;
      cursor.hidden = false;
      cursor.style.left = `${(100 * (frame.pts_time - first)) / length}%`;
    };
    slider.addEventListener("input", () => show(Number(slider.value)));
    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect();
      const time = first + (length * (event.clientX - box.left)) / box.width;
      let best = 0;
      for (let place = 1; place < frames.length; place++) {
        if (Math.abs(frames[place].pts_time - time) < Math.abs(frames[best].pts_time - time)) best = place;
      }
      show(best);
    });
  }

  // Columns of a sortable table are sorted by a click on their heads.
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = cell.querySelector("data");
    return number ? Number(number.value) : cell.textContent.trim();
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    return one.localeCompare(other, "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((one, other) => (down ? -1 : 1) * compare(key(one, column), key(other, column)));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // The JSON inside the page, as a file.
  const footer = document.querySelector("footer");
  for (const [name, value] of documents) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = `Save ${name}.json`;
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }));
      link.download = `${name}.json`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
    footer.append(button);
  }
})();
