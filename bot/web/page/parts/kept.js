// What a browser keeps for us between visits, or only in this tab. What it will not keep, stays until the page goes.

function keeping(store) {
  const unkept = new Map();
  return {
    get(name) {
      if (unkept.has(name)) return unkept.get(name);
      try {
        return store().getItem(`greenroom.${name}`) ?? "";
      } catch {
        return "";
      }
    },
    set(name, value) {
      unkept.delete(name);
      try {
        if (value) store().setItem(`greenroom.${name}`, value);
        else store().removeItem(`greenroom.${name}`);
      } catch {
        unkept.set(name, value); // full, or not allowed
      }
    },
  };
}

export const forGood = keeping(() => localStorage);
export const inThisTab = keeping(() => sessionStorage);
