/** Deployment, Service and Ingress of the web app, and the value of its pods' name label. */
export const racecourseName = "racecourse";
/** Port of the page, as the seed document has it. */
export const racecoursePort = 3000;
