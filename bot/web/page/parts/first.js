// Before anything is drawn: light or dark, where somebody chose it. No module, so that nothing flashes.
try {
  const chosen = localStorage.getItem("greenroom.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing follows its system.
}
