// What the theme leaves out for people who use a keyboard or a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  const set = (selector, name, value) =>
    document.querySelectorAll(selector).forEach(each => each.setAttribute(name, value));
  set(".caption[role=heading]", "aria-level", "2");
  set("aside.sidebar-drawer", "aria-label", "All pages");
  set("aside.toc-drawer", "aria-label", "This page");
  set("pre, .table-wrapper", "tabindex", "0");
  // Lines of a long signature, which Sphinx writes as a list of definitions.
  set(".sig dl", "role", "presentation");
});
