// What a browser keeps for us between visits, or only in this tab. Where it keeps nothing, nothing breaks.

function keeping(store) {
  return {
    get(name) {
      try {
        return store().getItem(`greenroom.${name}`) ?? "";
      } catch {
        return "";
      }
    },
    set(name, value) {
      try {
        if (value) store().setItem(`greenroom.${name}`, value);
        else store().removeItem(`greenroom.${name}`);
      } catch {
        // Full, or not allowed.
      }
    },
  };
}

export const forGood = keeping(() => localStorage);
export const inThisTab = keeping(() => sessionStorage);
