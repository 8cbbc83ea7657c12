// The jobs that were begun in this browser: their ids, in its storage, by which it finds them again.

window.restoreJobs = (() => {
  const STORED = "restore-jobs";
  const MOST = 50;

  function all() {
    try {
      const jobs = JSON.parse(localStorage.getItem(STORED) ?? "[]");
      return Array.isArray(jobs) ? jobs.filter((job) => typeof job?.id === "string") : [];
    } catch {
      return []; // storage may be forbidden, or hold what somebody else has put there
    }
  }

  function keep(jobs) {
    try {
      localStorage.setItem(STORED, JSON.stringify(jobs.slice(0, MOST)));
    } catch {
      // as above
    }
    window.dispatchEvent(new Event(STORED));
  }

  return {
    all,
    add: (parameter, id) => keep([{ parameter, id, time: Date.now() }, ...all().filter((job) => job.id !== id)]),
    remove: (id) => keep(all().filter((job) => job.id !== id)),
  };
})();
