// What stands out of the page, is cut off, or lies over its neighbour: a list of sentences, empty where all is in its place.
() => {
  const found = [];
  const name = (element) => (element.textContent || element.className).trim().slice(0, 40);
  const cut = (element) => element.scrollWidth > element.clientWidth + 1;
  if (cut(document.documentElement)) found.push("page");
  for (const box of document.querySelectorAll(".table")) {
    if (box.checkVisibility() && box.scrollWidth > box.clientWidth) found.push(`table ${box.firstChild.ariaLabel}`);
  }
  for (const element of document.querySelectorAll("nav a[aria-current], main button, main select, main .figure dd, main h2, main .badge")) {
    const { left, right, width } = element.getBoundingClientRect();
    if (width && (left < 0 || right > innerWidth + 1)) found.push(`out of sight: ${name(element)}`);
    if (getComputedStyle(element).overflowX === "hidden" && cut(element)) found.push(`cut off: ${name(element)}`);
  }
  const beside = ["main", ".grid", ".charts", ".figures", ".profiles", ".filters", ".tools", ".page-head", ".card", ".card-head", ".health", ".bar", ".both"];
  for (const parent of document.querySelectorAll(beside.join())) {
    const places = [...parent.children]
      .filter((child) => !["absolute", "fixed", "sticky"].includes(getComputedStyle(child).position))
      .map((child) => [child, child.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && box.height > 0);
    for (const [at, [one, a]] of places.entries()) {
      for (const [other, b] of places.slice(at + 1)) {
        const across = a.right > b.left + 1 && b.right > a.left + 1;
        if (across && a.bottom > b.top + 1 && b.bottom > a.top + 1) found.push(`${name(one)} over ${name(other)}`);
      }
    }
  }
  return found;
}
