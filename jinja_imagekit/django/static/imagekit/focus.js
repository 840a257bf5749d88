// Moves the focal point of an image by clicks, drags and arrow keys; the text field beside it is what a form sends.
"use strict";

(() => {
  const STEP = 1; // per cent that an arrow key moves, and with Shift
  const LEAP = 10;
  const PREVIEW = 480; // pixels
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const parts = (widget) => ({
    input: widget.querySelector("input"),
    image: widget.querySelector(".imagekit-focus-image"),
    point: widget.querySelector(".imagekit-focus-point"),
  });

  // The centre, in per cent, of what the text says: a point, or a box of left, top, right and bottom; null for neither.
  const read = (text) => {
    const words = text.trim() ? text.trim().split(/[\s,]+/) : [];
    const numbers = words.map((each) => parseFloat(each) * (each.endsWith("%") ? 1 : 100));
    if (numbers.some(Number.isNaN)) return null;
    if (numbers.length === 2) return numbers;
    if (numbers.length === 4) return [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2];
    return null;
  };

  const show = (widget) => {
    const { input, image, point } = parts(widget);
    const found = read(input.value);
    const [left, top] = found || [50, 50];
    point.hidden = image.hidden;
    widget.querySelector(".imagekit-focus-help").hidden = image.hidden;
    point.style.left = `${left}%`;
    point.style.top = `${top}%`;
    point.classList.toggle("is-automatic", found === null);
    point.setAttribute("aria-valuenow", Math.round(left));
    point.setAttribute("aria-valuetext", found ? input.value : point.dataset.automatic);
  };

  const write = (widget, text) => {
    const { input } = parts(widget);
    if (input.value !== text) {
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    show(widget);
  };

  const move = (widget, left, top) => {
    const [x, y] = [left, top].map((each) => Math.round(Math.min(100, Math.max(0, each))));
    write(widget, `${x}% ${y}%`);
  };

  const moveTo = (widget, event) => {
    const { image, point } = parts(widget);
    const box = image.getBoundingClientRect();
    move(widget, (100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
    point.focus({ preventScroll: true });
  };

  const widgetOf = (target) => {
    const image = target instanceof Element && target.closest(".imagekit-focus-image");
    return image ? image.closest(".imagekit-focus") : null;
  };

  let dragged = null;
  document.addEventListener("pointerdown", (event) => {
    const widget = event.button === 0 ? widgetOf(event.target) : null;
    if (!widget || parts(widget).input.disabled) return;
    event.preventDefault();
    dragged = widget;
    moveTo(widget, event);
  });
  document.addEventListener("pointermove", (event) => dragged && moveTo(dragged, event));
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (dragged = null));

  document.addEventListener("keydown", (event) => {
    if (!(event.target instanceof Element) || !event.target.matches(".imagekit-focus-point")) return;
    const widget = event.target.closest(".imagekit-focus");
    const { input } = parts(widget);
    if (input.disabled || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      write(widget, "");
    } else if (event.key in ARROWS) {
      event.preventDefault();
      const [x, y] = read(input.value) || [50, 50];
      const step = event.shiftKey ? LEAP : STEP;
      move(widget, x + step * ARROWS[event.key][0], y + step * ARROWS[event.key][1]);
    }
  });

  document.addEventListener("input", (event) => {
    const widget = event.target instanceof Element && event.target.closest(".imagekit-focus");
    if (widget) show(widget);
  });

  // A file that was just chosen is drawn, which needs no URL that a page's policy could forbid.
  const preview = async (widget, file) => {
    const { image } = parts(widget);
    const canvas = image.querySelector("canvas");
    const picture = image.querySelector("img");
    let bitmap = null;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      // It is not an image that this browser shows.
    }
    if (picture) picture.hidden = true;
    canvas.hidden = image.hidden = bitmap === null;
    if (bitmap) {
      const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bitmap.close();
    }
    // The point belongs to the image before.
    write(widget, "");
  };

  const restore = (widget) => {
    const { input, image } = parts(widget);
    const picture = image.querySelector("img");
    image.querySelector("canvas").hidden = true;
    image.hidden = picture === null;
    if (picture) picture.hidden = false;
    write(widget, input.defaultValue);
  };

  document.addEventListener("change", (event) => {
    const chooser = event.target;
    if (!(chooser instanceof HTMLInputElement) || chooser.type !== "file" || !chooser.form) return;
    for (const widget of chooser.form.querySelectorAll(".imagekit-focus")) {
      // In a formset both have the same prefix.
      const name = parts(widget).input.name.replace(/[^-]*$/, widget.dataset.imageField);
      if (widget.dataset.imageField && name === chooser.name) {
        if (chooser.files.length) preview(widget, chooser.files[0]);
        else restore(widget);
      }
    }
  });

  document.querySelectorAll(".imagekit-focus").forEach(show);
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".imagekit-focus").forEach(show));
})();
