/** Length of the live chart. */
export const WINDOW_SECONDS = 300;
