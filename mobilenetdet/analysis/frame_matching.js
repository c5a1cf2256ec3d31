"use strict";
// What KITTI's protocol makes of one frame, at any score: the rules of analysis/error_types.py and
// of kitti/average_precision.py, in the browser, so that the score can be moved. Frames do not touch
// each other, and the pairs that overlap were found in Python, to the last digit.

const ERROR_KINDS = ["localisation", "classification", "background", "repeated", "missed"];
const KINDS = ["correct", ...ERROR_KINDS, "ignored"];

// Turns the rows of the data into objects, and finds what each detection lies on.
function unpackFrame(row, rules) {
  const gts = row.gts.map(([type, occluded, truncated, ...box]) => ({
    type: rules.types[type], code: rules.codes[type], occluded, truncated, box,
    height: box[3] - box[1],
  }));
  const runs = row.runs.map(({dets, pairs}) => ({
    dets: dets.map(([type, score, height, inDontCare, ...box]) => ({
      type: rules.types[type], code: rules.codes[type], score, height, inDontCare, box,
      own: -1, ownOverlap: 0, other: -1, otherOverlap: 0,
    })),
    pairs,
  }));
  for (const {dets, pairs} of runs) {
    for (const [d, g, overlap] of pairs) {
      const det = dets[d], which = gts[g].code === det.code ? "own" : "other";
      if (overlap >= det[which + "Overlap"]) {
        det[which] = g;
        det[which + "Overlap"] = overlap;
      }
    }
  }
  return {id: row.id, gts, runs};
}

// Returns the kind of each detection and of each object of a frame, and what the former are about.
// Kinds of detections: "correct", those of ERROR_KINDS, "ignored", "below" the score; kinds of
// objects: "hit", "missed", "ignored", "region" (DontCare).
function judgeFrame(frame, run, rules, difficulty, thresholds) {
  const {dets, pairs} = frame.runs[run];
  const judged = {
    dets: dets.map((det) => (det.score >= thresholds[det.code] ? "ignored" : "below")),
    about: dets.map(() => -1),
    gts: frame.gts.map((gt) => (gt.code === rules.dontCare ? "region" : "ignored")),
  };
  rules.classes.forEach((entry, code) => {
    const limits = entry.limits[difficulty];
    const small = (det) => rules.protocol === "current" && det.height < limits.height;
    const counts = (det) => det.code === code && !small(det);
    const taken = assign(frame.gts, dets, pairs, entry, code, thresholds[code], small, counts);
    frame.gts.forEach((gt, g) => {
      if (gt.code !== code || gt.height < limits.height || gt.occluded > limits.occlusion
          || gt.truncated > limits.truncation) return;
      const det = taken.get(g);
      judged.gts[g] = det === undefined ? "missed" : counts(dets[det]) ? "hit" : "ignored";
    });
    const takenBy = new Map([...taken].map(([g, d]) => [d, g]));
    dets.forEach((det, d) => {
      if (!counts(det) || det.score < thresholds[code]) return;
      if (takenBy.has(d)) {
        const g = takenBy.get(d);
        if (judged.gts[g] === "hit" && frame.gts[g].code === code) {
          judged.dets[d] = "correct";
          judged.about[d] = g;
        }
      } else if (!det.inDontCare) {
        judged.dets[d] = falseAlarmKind(det, entry, rules.nearOverlap);
        if (judged.dets[d] !== "background")
          judged.about[d] = judged.dets[d] === "classification" ? det.other : det.own;
      }
    });
  });
  return judged;
}

// Objects choose in their order among the free detections that overlap them enough: one that counts
// before an ignored one, and of those the one that overlaps most. Returns detections by object.
function assign(gts, dets, pairs, entry, code, threshold, small, counts) {
  const taken = new Map(), used = new Set();
  for (let first = 0, last; first < pairs.length; first = last) {
    const g = pairs[first][1];
    for (last = first; last < pairs.length && pairs[last][1] === g; last++);
    if (gts[g].code !== code && !entry.neighbours.includes(gts[g].code)) continue;
    let best = -1, preference = 1;
    for (const [d, , overlap] of pairs.slice(first, last)) {
      const det = dets[d], own = counts(det);
      if (overlap <= entry.minOverlap || det.score < threshold || used.has(d)) continue;
      if (!own && !small(det)) continue;
      if ((own ? -overlap : 0) < preference) [best, preference] = [d, own ? -overlap : 0];
    }
    if (best >= 0) {
      taken.set(g, best);
      used.add(best);
    }
  }
  return taken;
}

function falseAlarmKind(det, entry, near) {
  if (det.ownOverlap > entry.minOverlap) return "repeated";
  if (det.ownOverlap > near) return "localisation";
  return det.otherOverlap > near ? "classification" : "background";
}
