// Elements from words: a text is always a text, and never markup.

export function draw(name, told = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(told)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...inside.flat().filter((one) => one !== null && one !== undefined));
  return element;
}
