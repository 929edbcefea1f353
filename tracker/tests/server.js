/**
 * The far end: keeps what was posted, and answers when and as the test says.
 */
export const createServer = () => {
  const requests = []
  const beacons = []
  let takesBeacons = true
  let answersAll = false

  const fetch = (url, init) =>
    new Promise((resolve, reject) => {
      requests.push({
        url,
        init,
        hits: JSON.parse(init.body).hits,
        answer: (status, headers = {}) => resolve({ status, headers: new Headers(headers) }),
        fail: () => reject(new TypeError('Failed to fetch'))
      })
      if (answersAll) resolve({ status: 204, headers: new Headers() })
    })

  const sendBeacon = (url, body) => {
    if (takesBeacons) beacons.push({ url, hits: JSON.parse(body).hits })
    return takesBeacons
  }

  return {
    requests,
    beacons,
    /** From now on every request is answered at once. */
    answerAll: () => {
      answersAll = true
    },
    refuseBeacons: () => {
      takesBeacons = false
    },
    /** The hits of all requests and beacons. */
    hits: () => [...requests, ...beacons].flatMap(({ hits }) => hits),
    globals: { fetch },
    sendBeacon
  }
}
